"""The collector's promises, one source at a time, under a clock that is moved by hand."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NoReturn

import pytest

from exporter.errors import SourceError
from exporter.model import DriverReading, Missing, Reason, Xid
from exporter.witness import Live
from tests.e2e.puppets import EPOCH, GPU, POD_UID, World, reading
from tests.e2e.rig import until
from tests.e2e.scrape import Scrape

BLIND = "gpu_partition_blind_seconds_total"
OUTCOMES = "gpu_partition_guarantee_seconds_total"
INFO = "gpu_partition_info"
GUARANTEES = {("availability",), ("conformance",), ("memory",), ("compute",), ("isolation",)}


@pytest.fixture
def world() -> Iterator[World]:
    """A node in good order."""
    node = World()
    yield node
    node.close()


def blind(page: Scrape, reason: str) -> float | None:
    """Seconds for which availability was blind for a reason."""
    return page.value(BLIND, guarantee="availability", reason=reason)


def kept(page: Scrape) -> float:
    """Seconds for which availability was kept."""
    return page.value(OUTCOMES, guarantee="availability", outcome="kept") or 0.0


def raising(error: Exception) -> NoReturn:
    """Raise from an expression."""
    raise error


def test_a_node_in_good_order_is_kept_from_its_first_second(world: World) -> None:
    page = world.play(0.0)
    assert page.down() == set()
    assert kept(page) == 0
    assert page.rows(INFO, "pod_uid", "workload").keys() == {(POD_UID, "fit")}
    assert kept(world.play(*[1.0] * 5)) == 5
    assert page.value("gpu_partition_processes") == 1


ERRORS: list[tuple[Exception, str]] = [
    (SourceError("no entry", Reason.PERMISSION), "permission"),
    (SourceError("no idea"), "error"),
    (RuntimeError("a defect"), "error"),
    (KeyError("uid"), "error"),
    (OSError(5, "Input/output error"), "error"),
    (RecursionError("too deep"), "error"),
    (MemoryError(), "error"),
]


@pytest.mark.parametrize(("error", "reason"), ERRORS, ids=lambda value: type(value).__name__)
@pytest.mark.parametrize("name", ["nvml", "podresources", "kubernetes", "cgroup"])
def test_a_source_that_raises_anything_degrades_alone(world: World, name: str, error: Exception, reason: str) -> None:
    before = world.play(0.0, 1.0)
    if name == "cgroup":
        world.procfs.say = lambda _: raising(error)
    else:
        world.puppet(name).say = lambda _: raising(error)
    page = world.play(5.0, 1.0)
    assert page.down() == {name}
    answered = EPOCH + (100 if name == "podresources" else 101)
    assert page.value("slicewatch_source_last_success_timestamp_seconds", source=name) == answered
    assert page.rows(INFO, "device").keys() == {(GPU,)}
    assert (blind(page, reason) or 0.0) == (6.0 if name == "nvml" else 0.0)
    assert (page.value("gpu_device_power_watts") is None) is (name == "nvml")
    # A process is nobody's when procfs or the pods cannot be read; the last pods are good for a while.
    assert (page.value("gpu_partition_processes") is None) is (name in {"nvml", "cgroup"})
    assert page.words(INFO) == before.words(INFO)


def test_a_source_that_is_back_is_up_again_and_its_partitions_are_kept_again(world: World) -> None:
    good = world.driver.say
    world.play(0.0, 1.0)
    world.driver.say = lambda _: raising(SourceError("away"))
    down = world.play(1.0, 1.0)
    assert (kept(down), blind(down, "error")) == (1.0, 2.0)
    world.driver.say = good
    back = world.play(1.0, 1.0)
    assert back.down() == set()
    assert (kept(back), blind(back, "error")) == (3.0, 2.0)


def test_a_source_that_has_never_answered_has_no_time_of_success(world: World) -> None:
    world.kubelet.say = lambda _: raising(SourceError("no such file"))
    page = world.play(0.0, 1.0)
    assert page.value("slicewatch_source_last_success_timestamp_seconds", source="podresources") is None
    assert page.value("slicewatch_source_up", source="podresources") == 0
    assert page.words(INFO) == set()
    assert page.value("slicewatch_orphans", kind="unowned_device") is None


@pytest.fixture
def brisk() -> Iterator[World]:
    """A node whose collector waits for nobody longer than a blink of real time."""
    node = World(deadline=0.05)
    yield node
    node.close()


FIRST, SECOND, THIRD = Xid(GPU, 13), Xid(GPU, 31), Xid(GPU, 43)


def test_a_late_answer_is_not_served_as_a_new_one_and_its_events_are_counted_once(brisk: World) -> None:
    said = iter([(FIRST,), (SECOND,), (THIRD,)])
    brisk.play(0.0)
    brisk.driver.say = lambda now: reading(now, *next(said, ()))
    brisk.play(1.0)
    brisk.driver.hold()
    late = brisk.play(1.0)
    assert late.value("gpu_device_power_watts") is None
    assert late.value("slicewatch_source_up", source="nvml") == 0 or blind(late, "timeout") == 1
    asked = len(brisk.driver.asked)
    down = brisk.play(1.0, 1.0)
    assert down.down() == {"nvml"}
    assert blind(down, "timeout") == 3
    assert len(brisk.driver.asked) == asked
    brisk.driver.free.set()
    until(lambda: (blind(brisk.play(1.0), "stale") or 0.0) > 0, "the late answer has come")
    assert xids(brisk.play(1.0, 1.0)) == {"13": 1, "31": 1, "43": 1}
    assert brisk.play(0.0).down() == set()


def xids(page: Scrape) -> dict[str, float]:
    """XID errors counted, by number."""
    return {xid: count for (xid,), count in page.rows("gpu_device_xid_errors_total", "xid").items()}


def test_while_the_driver_hangs_only_the_first_tick_waits_for_it(world: World) -> None:
    world.play(0.0)
    world.driver.hold()
    live = world.collector._witness
    assert isinstance(live, Live)
    live._driver.ask(world.now)
    started = time.monotonic()
    # The deadline passes by the clock of the node: in real time nobody has to wait for it again.
    page = world.play(3.0, 1.0, 1.0)
    assert time.monotonic() - started < 2.5
    assert page.down() == {"nvml"}
    assert len(world.driver.asked) == 2


def test_a_slow_source_is_not_charged_with_the_wait_for_another(world: World) -> None:
    world.play(0.0)

    def slow(now: float) -> DriverReading:
        world.now += 2.0
        return reading(now)

    world.driver.say = slow
    page = world.play(1.0)
    assert page.value("slicewatch_source_read_duration_seconds_sum", source="nvml") == 2.0


def test_an_interval_that_nobody_observed_is_blind_and_stale(world: World) -> None:
    before = world.play(0.0, 1.0, 1.0, 1.0)
    page = world.play(10.0)
    assert page.rows(BLIND, "guarantee", reason="stale") == dict.fromkeys(GUARANTEES, 10.0)
    assert kept(page) == kept(before) == 3
    for (guarantee,) in GUARANTEES:
        assert page.total(OUTCOMES, guarantee=guarantee) == 13
    assert page.total("gpu_accounted_seconds_total") == 13
    assert page.value("gpu_accounted_seconds_total", state="blind") == 10
    assert kept(world.play(1.0)) == 4


def test_the_kubelets_answer_is_good_for_60_seconds_and_then_its_partitions_are_blind(world: World) -> None:
    page = world.play(0.0)
    world.kubelet.say = lambda _: raising(SourceError("nobody listens"))
    page = world.play(*[1.0] * 60)
    assert page.down() == {"podresources"}
    assert blind(page, "source_stale") is None
    assert kept(page) == 60
    page = world.play(*[1.0] * 30)
    assert blind(page, "source_stale") == 30
    assert kept(page) == 60
    assert page.rows(INFO, "device").keys() == {(GPU,)}
    assert page.value("gpu_partition_promised_memory_bytes") == 80e9


def test_the_kubelet_is_asked_every_five_seconds(world: World) -> None:
    world.play(0.0, *[1.0] * 20)
    assert world.kubelet.asked == [100.0, 105.0, 110.0, 115.0, 120.0]
    assert world.driver.asked == [100.0 + second for second in range(21)]


def test_partitions_wait_for_the_first_list_of_pods(world: World) -> None:
    filled = world.pods.say
    world.pods.say = lambda _: raising(SourceError("not listed yet", Reason.NOT_YET))
    page = world.play(0.0, *[1.0] * 9)
    assert page.words(INFO) == set()
    assert page.down() == {"kubernetes"}
    world.pods.say = filled
    assert world.play(1.0).rows(INFO, "pod_uid").keys() == {(POD_UID,)}


def test_partitions_do_not_wait_for_pods_for_ever(world: World) -> None:
    world.pods.say = lambda _: raising(SourceError("not listed yet", Reason.NOT_YET))
    page = world.play(0.0, *[1.0] * 10)
    assert page.rows(INFO, "pod_uid", "workload").keys() == {("", "")}


def test_a_pod_store_that_says_why_it_is_empty_is_not_waited_for(world: World) -> None:
    world.pods.say = lambda _: raising(SourceError("401 Unauthorized", Reason.PERMISSION))
    assert world.play(0.0).rows(INFO, "pod_uid").keys() == {("",)}


def test_without_an_api_server_there_is_no_such_source() -> None:
    world = World(api=False)
    page = world.play(0.0, 1.0)
    assert page.rows("slicewatch_source_up", "source").keys() == {("cgroup",), ("nvml",), ("podresources",)}
    assert page.rows(INFO, "pod_uid").keys() == {("",)}
    world.close()


def test_a_driver_that_says_nothing_makes_every_reading_missing_for_its_reason(world: World) -> None:
    world.play(0.0)
    world.driver.say = lambda _: raising(SourceError("asleep", Reason.TIMEOUT))
    world.play(1.0)
    assert world.tick is not None
    (partition,) = world.tick.result.snapshot.partitions
    assert partition.consumers == partition.used_memory_bytes == partition.used_compute == Missing(Reason.TIMEOUT)
    assert world.tick.result.snapshot.doubt is Reason.TIMEOUT
