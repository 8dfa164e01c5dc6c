"""The collecting loop and its threads: when it ticks, what outlives a failure, and who calls a source."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from exporter.collect import Tick
from exporter.model import DriverReading
from exporter.worker import Worker
from tests.e2e.puppets import World, reading


@pytest.fixture
def world() -> Iterator[World]:
    """A node in good order."""
    node = World()
    yield node
    node.close()


@pytest.mark.parametrize("name", ["nvml", "podresources", "kubernetes"])
def test_a_source_is_read_and_closed_by_one_thread_of_its_own(world: World, name: str) -> None:
    world.play(0.0, *[1.0] * 12)
    world.close()
    puppet = world.puppet(name)
    assert puppet.closed == 1
    assert len(puppet.threads) > 2
    assert len(set(puppet.threads)) == 1
    assert puppet.threads[0] != threading.get_ident()


def test_a_worker_inside_a_call_takes_no_other() -> None:
    worker: Worker[int] = Worker("busy", lambda: 0.0)
    free = threading.Event()
    worker.start(lambda: int(free.wait(30)))
    with pytest.raises(RuntimeError, match="still inside"):
        worker.start(lambda: 2)
    assert worker.take(0.0) is None
    free.set()
    done = worker.take(30)
    assert done is not None
    assert (done.value, done.error, worker.busy) == (1, None, False)
    worker.end(30)


class Hands(threading.Event):
    """Where the loop waits for its end: it moves the clock on instead, and is set after so many waits."""

    def __init__(self, world: World, waits: int) -> None:
        super().__init__()
        self._world, self._left = world, waits
        self.waits: list[float] = []

    def wait(self, timeout: float | None = None) -> bool:
        assert timeout is not None
        self.waits.append(timeout)
        self._world.now += timeout
        if len(self.waits) == self._left:
            self.set()
        return self.is_set()


def test_a_tick_that_took_too_long_is_followed_by_the_next_whole_one_and_not_by_a_burst(world: World) -> None:
    durations = iter([0.25, 0.0, 2.5, 0.0])

    def slow(now: float) -> DriverReading:
        world.now += next(durations)
        return reading(now)

    world.driver.say = slow
    stop = Hands(world, waits=4)
    published: list[Tick] = []
    world.collector.run(published.append, stop)
    assert stop.waits == [0.75, 1.0, 0.5, 1.0]
    assert [tick.result.snapshot.at for tick in published] == [100.0, 101.0, 102.0, 105.0]


def test_a_tick_that_fails_is_logged_and_the_next_one_is_made(world: World, caplog: pytest.LogCaptureFixture) -> None:
    published: list[Tick] = []

    def publish(tick: Tick) -> None:
        published.append(tick)
        if len(published) == 1:
            raise ZeroDivisionError("a defect")

    world.collector.run(publish, Hands(world, waits=3))
    assert len(published) == 3
    assert [record.message for record in caplog.records if record.exc_info] == [
        "the tick failed; the page before stays up"
    ]
