"""What the page says while the kubelet is in trouble, and after.

The kubelet is asked every 5 s, and each of these stories waits for that twice: they are lived through at the same time,
each on a node of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.node import L40S, SLICE, furnish, held, kept, whole
from tests.e2e.rig import Rig, until

ANSWERED = "slicewatch_source_last_success_timestamp_seconds"


def absent(rig: Rig) -> None:
    exporter = rig.start()
    down = exporter.until(lambda page: page.ticks >= 3, "some ticks")
    assert down.down() == {"podresources"}
    assert held(down) == set()
    assert down.value(ANSWERED, source="podresources") is None
    assert down.value("gpu_device_memory_used_bytes", device=L40S) == 700 << 20
    # How many devices nobody holds cannot be told.
    assert down.value("slicewatch_orphans", kind="unowned_device") is None
    assert f"kubelet socket {rig.kubelet.socket}: no such file; is a kubelet running" in exporter.log
    rig.kubelet.start()
    exporter.until(whole, "the kubelet is found")
    rig.stop()


def hanging(rig: Rig) -> None:
    rig.kubelet.hangs = {"List"}
    rig.kubelet.start()
    exporter = rig.start()
    until(lambda: "no answer within 3 s" in exporter.log, "the deadline has passed")
    down = exporter.until(lambda page: page.ticks >= 5, "some ticks")
    assert down.value("slicewatch_source_up", source="podresources") == 0
    assert held(down) == set()
    assert down.value("gpu_device_power_watts", gpu=L40S) == 70
    rig.kubelet.hangs = set()
    exporter.until(lambda page: page.ticks >= down.ticks + 4, "ticks go on")
    exporter.until(whole, "the kubelet answers again")
    rig.stop()


def restarting(rig: Rig) -> None:
    rig.kubelet.start()
    exporter = rig.start()
    exporter.until(whole, "a good page")
    rig.kubelet.stop()
    down = exporter.until(lambda page: page.down() == {"podresources"}, "the kubelet is missed")
    assert held(down) == {SLICE, L40S}
    rig.kubelet.start()  # behind a new inode
    back = exporter.until(whole, "the kubelet is found again")
    for device in (SLICE, L40S):
        assert kept(back, device) > kept(down, device)
    assert back.total("gpu_partition_blind_seconds_total", reason="source_stale") == 0
    rig.stop()


Stories = Mapping[Callable[[Rig], None], "Future[None]"]


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory, driver_library: Path) -> Iterator[Stories]:
    """All three stories under way; a test asks how its own ended."""
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        rigs = {
            story: furnish(stack.enter_context(Rig(tmp_path_factory.mktemp(story.__name__), driver_library)))
            for story in (absent, hanging, restarting)
        }
        yield {story: pool.submit(story, rig) for story, rig in rigs.items()}


def test_a_kubelet_that_is_absent_at_the_start_is_found_when_it_comes(lived: Stories) -> None:
    lived[absent].result()


def test_a_kubelet_that_hangs_holds_nothing_else_up(lived: Stories) -> None:
    lived[hanging].result()


def test_while_a_kubelet_restarts_its_last_answer_holds(lived: Stories) -> None:
    lived[restarting].result()
