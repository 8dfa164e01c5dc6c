"""What goes wrong in a scenario is what a real node would show: refusals, lost devices, throttled clocks, errors."""

from __future__ import annotations

import pytest

from exporter.errors import SourceError
from exporter.model import DeviceUuid, Missing, Reason
from exporter.sources.base import Driver, Kubelet, PodSource
from tests.simulator.test_sources import WHOLE, build_with, naps, only_device


def refusal(source: Driver | Kubelet | PodSource, now: float) -> Reason | None:
    try:
        source.read(now)
    except SourceError as error:
        return error.reason
    return None


FAULTS = {
    'kind = "driver_hang"': ("driver", Reason.TIMEOUT),
    'kind = "permission_lost"\nof = "driver"': ("driver", Reason.PERMISSION),
    'kind = "kubelet_down"': ("kubelet", Reason.ERROR),
    'kind = "permission_lost"\nof = "kubelet"': ("kubelet", Reason.PERMISSION),
    'kind = "permission_lost"\nof = "api"': ("pods", Reason.PERMISSION),
}


@pytest.mark.parametrize("event", FAULTS, ids=lambda event: event.replace('"', "").replace("\n", " "))
def test_a_faulty_source_refuses_while_the_fault_lasts_and_the_others_answer(event: str):
    name, reason = FAULTS[event]
    sources = build_with(f"{event}\nat = 2\nuntil = 4")
    for now, expected in ((101.0, None), (103.0, reason), (105.0, None)):
        for each in ("driver", "kubelet", "pods"):
            assert refusal(getattr(sources, each), now) == (expected if each == name else None)


def test_procfs_that_may_not_be_read_is_a_refusal():
    sources = build_with('kind = "permission_lost"\nof = "procfs"\nat = 0')
    with pytest.raises(SourceError, match="procfs"):
        sources.processes.read([20_011])


def test_a_pod_store_outlives_an_api_server_that_is_down_for_a_minute_and_no_longer():
    sources = build_with('kind = "api_down"\nat = 10')
    sources.pods.read(109.0)
    assert [each.name for each in sources.pods.read(150.0).items] == ["embedder-0", "indexer-0"]
    assert refusal(sources.pods, 170.0) is Reason.SOURCE_STALE


def test_a_pod_store_that_was_never_filled_says_so():
    assert refusal(build_with('kind = "api_down"\nat = 0').pods, 101.0) is Reason.NOT_YET


def test_a_slow_kubelet_takes_its_time_and_holds_up_nobody_else():
    naps.clear()
    sources = build_with('kind = "kubelet_slow"\nseconds = 7\nat = 0')
    assert sources.kubelet.read(101.0).serial == 1
    assert naps == [7.0]


def test_a_lost_permission_hides_processes_and_the_memory_of_a_parent():
    text = WHOLE.replace('board = "H100-SXM-80GB"', 'board = "H100-SXM-80GB"\nmig = ["7g.80gb"]').replace(
        'holds = ["h100-0"]', 'holds = ["h100-0/0"]'
    )
    sources = build_with(
        'kind = "permission_lost"\nof = "processes"\nat = 2',
        'kind = "permission_lost"\nof = "parent-memory"\nat = 2',
        base=text,
    )
    before, after = sources.driver.read(101.0), sources.driver.read(103.0)
    parent, child = before.devices
    assert isinstance(before.devices[parent].memory_used_bytes, float)
    assert after.devices[parent].memory_used_bytes == Missing(Reason.PERMISSION)
    assert after.devices[child].processes == Missing(Reason.PERMISSION)
    assert isinstance(after.devices[child].memory_used_bytes, float)


def test_a_lost_gpu_stays_in_the_inventory_answers_nothing_and_tells_its_xid_once():
    sources = build_with(
        'kind = "xid"\nxid = 79\ngpu = "h100-0"\nat = 2', 'kind = "gpu_lost"\ngpu = "h100-0"\nat = 2\nuntil = 6'
    )
    first, lost, again, back = (sources.driver.read(now) for now in (101.0, 103.0, 104.0, 108.0))
    assert [each.xid for each in lost.events] == [79]
    assert first.events == again.events == ()
    (gpu,) = lost.inventory.gpus
    assert gpu.lost
    assert lost.gpus[gpu.uuid].power_watts == Missing(Reason.DEVICE_LOST)
    assert lost.devices[DeviceUuid(gpu.uuid)].processes == Missing(Reason.DEVICE_LOST)
    assert not back.inventory.gpus[0].lost
    assert [each.inventory.generation for each in (first, lost, again, back)] == [0, 1, 1, 2]
    sources.driver.read(110.0)
    assert only_device(sources, 112.0).engine_active == pytest.approx(1.0)


def test_an_xid_of_an_instance_names_its_gpu_instance():
    text = WHOLE.replace('board = "H100-SXM-80GB"', 'board = "H100-SXM-80GB"\nmig = ["3g.40gb"]').replace(
        'holds = ["h100-0"]', 'holds = ["h100-0/0"]'
    )
    reading = build_with('kind = "xid"\nxid = 94\ngpu = "h100-0"\ninstance = 0\nat = 1', base=text).driver.read(102.0)
    assert [each.gpu_instance for each in reading.events] == [reading.inventory.gpus[0].instances[0].gpu_instance]


def test_ecc_counts_start_at_zero_and_grow_by_what_happens():
    sources = build_with('kind = "ecc"\ngpu = "h100-0"\ncorrected = 3\nuncorrected = 1\nat = 2')
    counts = [(use.ecc_corrected, use.ecc_uncorrected) for use in (only_device(sources, now) for now in (101.0, 103.0))]
    assert counts == [(0.0, 0.0), (3.0, 1.0)]


@pytest.mark.parametrize(
    ("event", "cause"),
    [
        ('kind = "power_cap"\nwatts = 120', "sw_power_cap"),
        ('kind = "cooling"\ninlet_celsius = 75', "sw_thermal"),
        ('kind = "throttle"\nreason = "hw_slowdown"\nclock_ratio = 0.5', "hw_slowdown"),
    ],
)
def test_the_clock_falls_for_a_reason_and_rises_when_it_ends(event: str, cause: str):
    sources = build_with(f'{event}\ngpu = "h100-0"\nat = 10\nuntil = 60', base=WHOLE.replace("deleted = 40", ""))
    clocks = []
    for now in (105.0, 150.0, 200.0):
        use = next(iter(sources.driver.read(now).gpus.values()))
        assert isinstance(use.throttle, frozenset)
        clocks.append(use.sm_clock_hertz)
        assert {str(each) for each in use.throttle} == ({cause} if now == 150.0 else set())
    assert clocks[0] == clocks[2] == 1980e6
    assert isinstance(clocks[1], float)
    assert clocks[1] < 1900e6


def test_a_lost_gpu_is_not_offered_and_still_held():
    allocations = build_with('kind = "gpu_lost"\ngpu = "h100-0"\nat = 2').kubelet.read(103.0)
    assert allocations.allocatable == ()
    assert len(allocations.items) == 1
