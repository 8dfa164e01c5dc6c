"""How old a sample is, by what of it changes; and what on a page is not believed."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from exporter.dcgm.history import ASSUMED_INTERVAL, History, reading
from exporter.dcgm.page import parse
from exporter.dcgm.reading import DcgmDevice, DcgmGpu, DcgmReading, NamedPod
from exporter.model import GpuUuid, Missing, Reading, Reason
from tests.dcgm.pages import GPU, OTHER, page, row

NONE, ODD, NOT_YET = (Missing(each) for each in (Reason.UNSUPPORTED, Reason.CONTRADICTION, Reason.NOT_YET))


def read(*polls: tuple[float, str]) -> DcgmReading:
    """Take pages one after the other; returns the last."""
    history, told = History(), None
    for now, text in polls:
        told, history = reading(parse(text), now, history)
    assert told is not None
    return told


def gpu(told: DcgmReading, uuid: str = GPU) -> DcgmGpu:
    return told.gpus[GpuUuid(uuid)]


def energy(joules: float, engine: float = 0.0) -> str:
    return page(row("DEV_TOTAL_ENERGY_CONSUMPTION", joules * 1000), row("PROF_GR_ENGINE_ACTIVE", engine))


def device(told: DcgmReading, gi: int | None = None, uuid: str = GPU) -> DcgmDevice:
    (found,) = (each for each in gpu(told, uuid).devices if each.gpu_instance == gi)
    return found


def test_a_first_sample_may_have_stood_there_for_an_interval():
    found = gpu(read((100.0, energy(1))))
    assert (found.after, found.seen, found.interval) == (100.0 - ASSUMED_INTERVAL, 100.0, ASSUMED_INTERVAL)
    assert found.began == 40.0
    assert found.good_until == 190.0


def test_a_repeat_is_no_new_sample_and_a_change_came_after_the_last_repeat():
    polls = [(0.0, energy(1)), (15.0, energy(1)), (30.0, energy(2)), (45.0, energy(2))]
    found = gpu(read(*polls))
    assert (found.after, found.seen) == (15.0, 30.0)


def test_an_idle_device_repeats_its_zeros_and_its_gpus_energy_moves():
    polls = [(15.0 * n, energy(1 + n, engine=0.0)) for n in range(20)]
    assert gpu(read(*polls)).seen == 15.0 * 19


def test_the_last_three_samples_are_looked_at_together_and_repeats_do_not_count():
    loads = [0.9, 0.9, 0.1, 0.7, 0.7, 0.8]
    polls = [(15.0 * n, energy(1 + n // 2, engine=load)) for n, load in enumerate(loads)]
    # Samples: 0.9 at 0 (which 15 repeats), 0.1 at 30, 0.7 at 45 and 60 (another energy), 0.8 at 75.
    told = read(*polls)
    assert (device(told).engine, device(told).engine_least, device(told).engine_most) == (0.8, 0.7, 0.8)
    assert (gpu(told).first_after, gpu(told).after) == (30.0, 60.0)
    assert gpu(told).first_began == 30.0 - gpu(told).interval
    early = read(*polls[:3])
    assert (device(early).engine_least, device(early).engine_most) == (NOT_YET, NOT_YET)


def test_a_sample_that_is_not_known_keeps_the_others_from_being_looked_at_together():
    polls = [(15.0 * n, energy(n, engine=load)) for n, load in enumerate((0.9, 1.3, 0.9))]
    assert device(read(*polls)).engine_least == NOT_YET
    assert device(read(*polls, (45.0, energy(9, 0.8)), (60.0, energy(10, 0.7)))).engine_least == 0.7


def test_each_gpu_has_a_clock_of_its_own():
    def both(one: float, other: float) -> str:
        return energy(one) + page(row("DEV_POWER_USAGE", other, gpu=OTHER))

    told = read((0.0, both(1, 90)), (15.0, both(2, 90)))
    assert (gpu(told).seen, gpu(told, OTHER).seen) == (15.0, 0.0)


@pytest.mark.parametrize(
    ("changes", "interval", "good_for"),
    [
        ([0, 15], ASSUMED_INTERVAL, 90.0),
        ([0, 30, 60, 90], 30.0, 90.0),
        ([0, 15, 30, 45], 15.0, 90.0),
        ([0, 30, 75, 105], 45.0, 120.0),
        ([0, 60, 120, 180], 60.0, 120.0),
        ([0, 300, 315, 330, 345, 360, 375, 390, 405, 420], 15.0, 90.0),
    ],
    ids=["few changes", "30 s", "10 s", "jitter", "60 s", "an old gap is forgotten"],
)
def test_the_interval_is_learned_and_a_sample_grows_old(changes: Iterable[int], interval: float, good_for: float):
    found = gpu(read(*((float(at), energy(at)) for at in changes)))
    assert found.interval == interval
    assert found.good_until - found.seen == good_for


def test_a_field_that_is_not_printed_is_unsupported_and_one_that_is_refused_is_a_contradiction():
    told = read(
        (
            0.0,
            page(
                row("PROF_GR_ENGINE_ACTIVE", 0.4, gi=1),
                row("PROF_SM_ACTIVE", 1.294, gi=1),
                row("PROF_DRAM_ACTIVE", 0.2, gi=1, pod="a"),
                row("PROF_DRAM_ACTIVE", 0.3, gi=1, pod="b"),
            ),
        )
    )
    found = device(told, 1)
    assert (found.engine, found.sm, found.tensor, found.bandwidth) == (0.4, ODD, NONE, ODD)
    assert told.untrusted == {"ratio_above_one": 1}


@pytest.mark.parametrize(
    ("text", "engines", "count"),
    [
        (page(row("PROF_GR_ENGINE_ACTIVE", 0, gi=1), row("PROF_SM_ACTIVE", 0.8, gi=1)), [ODD], 1),
        (page(row("PROF_GR_ENGINE_ACTIVE", 0, gi=1), row("PROF_SM_ACTIVE", 0.0, gi=1)), [0.0], 0),
        (
            page(
                *(row("PROF_GR_ENGINE_ACTIVE", 0, gi=gi) for gi in (1, 2)),
                *(row("DEV_POWER_USAGE", 300, gi=gi) for gi in (1, 2)),
                *(row("DEV_ENFORCED_POWER_LIMIT", 400, gi=gi) for gi in (1, 2)),
            ),
            [ODD, ODD],
            1,
        ),
        (
            page(
                *(row("PROF_GR_ENGINE_ACTIVE", value, gi=gi) for gi, value in ((1, 0), (2, 0.9))),
                *(row("DEV_POWER_USAGE", 300, gi=gi) for gi in (1, 2)),
                *(row("DEV_ENFORCED_POWER_LIMIT", 400, gi=gi) for gi in (1, 2)),
            ),
            [0.0, 0.9],
            0,
        ),
    ],
    ids=["its SMs work", "idle", "the board works", "its neighbour works"],
)
def test_a_zero_that_is_stuck_is_unknown_and_not_idle(text: str, engines: list[Reading], count: int):
    told = read((0.0, text))
    assert [each.engine for each in gpu(told).devices if each.gpu_instance is not None] == engines
    assert told.untrusted.get("engine_idle_utilisation_high", 0) == count


def test_pods_are_named_once_and_only_whole_names_count():
    rows = (
        row("PROF_GR_ENGINE_ACTIVE", 0.4, pod="a", namespace="t"),
        row("PROF_SM_ACTIVE", 0.4, pod="a", namespace="t"),
    )
    told = read((0.0, page(*rows, row("DEV_FB_USED", 4, pod="b"), row("DEV_FB_FREE", 4, hpc_job="j"))))
    assert device(told).named == (NamedPod("t", "a"),)


def test_a_repeated_sample_is_doubted_as_soon_as_the_page_gives_cause():
    """Utilisation is of the moment and no part of the fingerprint: it may tell on a zero that has been there for a while."""
    before, after = (energy(1) + page(row("DEV_GPU_UTIL", percent)) for percent in (0, 90))
    assert device(read((0.0, before))).engine == 0.0
    told = read((0.0, before), (15.0, after))
    assert (device(told).engine, gpu(told).seen) == (ODD, 0.0)


def test_a_value_copied_to_every_holder_is_the_devices_and_counted():
    told = read((0.0, page(*(row("PROF_GR_ENGINE_ACTIVE", 0.4, pod=pod, namespace="team") for pod in "ab"))))
    assert device(told).engine == 0.4
    assert told.untrusted == {"copied_to_tenants": 1}
