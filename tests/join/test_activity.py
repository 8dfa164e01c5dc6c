"""Whose word counts for how busy a device was, and what a page that does not fit is worth."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from exporter.activity import ActivityMemory, Told, activity_sources, with_activity
from exporter.dcgm.reading import DcgmDevice, DcgmReading
from exporter.model import DeviceUse, DeviceUuid, DriverReading, EngineRun, Missing, Reading, Reason
from tests.join.dcgm_pages import NOW, TWO, ampere, page, row
from tests.join.worlds import (
    NONE,
    gpu,
    gpu_id,
    instance,
    mig_id,
    process,
    reading,
    use,
)

STALE, AMBIGUOUS, NOT_YET = (Missing(reason) for reason in (Reason.STALE, Reason.AMBIGUOUS, Reason.NOT_YET))
GPM = replace(use(), engine_active=0.3, sm_active=0.2, tensor_active=0.1, memory_bandwidth=0.4)
PRE_GPM = replace(use(), engine_active=0.77, utilisation=0.77)


def told(driver: DriverReading, dcgm: DcgmReading | Missing, now: float = NOW, since: float = 0.0) -> Told:
    """What a page adds, when the driver has listed the same instances since `since`."""
    _, memory = with_activity(driver, Missing(Reason.NOT_YET), since, ActivityMemory())
    return with_activity(driver, dcgm, now, memory)[0]


def activity(found: Told, device: str) -> tuple[Reading, ...]:
    assert not isinstance(found.driver, Missing)
    one = found.driver.devices[DeviceUuid(device)]
    return one.engine_active, one.sm_active, one.tensor_active, one.memory_bandwidth


def used(found: Told, device: str) -> DeviceUse:
    assert not isinstance(found.driver, Missing)
    return found.driver.devices[DeviceUuid(device)]


def test_an_instance_before_hopper_has_its_activity_from_the_page():
    found = told(reading([TWO]), page(row(1, 0.5), row(2, 0.0)))
    assert activity(found, mig_id(1)) == (0.5, 0.4, 0.3, 0.2)
    assert activity(found, mig_id(2)) == (0.0, 0.4, 0.3, 0.2)
    assert activity_sources(used(found, mig_id(1))) == dict.fromkeys(
        ("engine_active", "sm_active", "tensor_active", "memory_bandwidth"), "dcgm"
    )
    # The parent of instances is not busy itself.
    assert activity(found, gpu_id(1)) == (NONE, NONE, NONE, NONE)


def test_the_same_instance_numbers_on_two_gpus_are_two_instances():
    driver = reading([TWO, ampere(2, instance(3, 1))])
    both = DcgmReading(serial=1, gpus={**page(row(1, 0.1), row(2, 0.2)).gpus, **page(row(1, 0.9), number=2).gpus})
    found = told(driver, both)
    assert [activity(found, mig_id(n))[0] for n in (1, 2, 3)] == [0.1, 0.2, 0.9]


def test_the_drivers_own_word_goes_first_reading_by_reading():
    driver = reading([gpu(1), replace(gpu(2), architecture="ampere")], {gpu_id(1): GPM, gpu_id(2): PRE_GPM})
    pages = DcgmReading(serial=1, gpus={gpu_id(n): page(row(None), number=n).gpus[gpu_id(n)] for n in (1, 2)})
    found = told(driver, pages)
    assert activity(found, gpu_id(1)) == (0.3, 0.2, 0.1, 0.4)
    assert set(activity_sources(used(found, gpu_id(1))).values()) == {"gpm"}
    # A whole GPU's utilisation is of the last second: it is not given up for a mean over half a minute.
    assert activity(found, gpu_id(2)) == (0.77, 0.4, 0.3, 0.2)
    assert activity_sources(used(found, gpu_id(2))) == {
        "engine_active": "nvml",
        "sm_active": "dcgm",
        "tensor_active": "dcgm",
        "memory_bandwidth": "dcgm",
    }


def test_what_the_driver_offers_and_could_not_give_is_not_made_up_for():
    late = replace(use(), engine_active=NOT_YET, sm_active=NOT_YET, tensor_active=NOT_YET, memory_bandwidth=NOT_YET)
    found = told(reading([gpu(1)], {gpu_id(1): late}), page(row(None)))
    assert activity(found, gpu_id(1)) == (NOT_YET,) * 4
    assert activity_sources(used(found, gpu_id(1))) == {}


@pytest.mark.parametrize("reason", [Reason.TIMEOUT, Reason.ERROR, Reason.NOT_YET, Reason.SOURCE_STALE])
def test_without_the_page_what_hangs_on_it_is_missing_for_the_sources_reason(reason: Reason):
    driver = reading([TWO, gpu(2)], {gpu_id(2): GPM})
    found = told(driver, Missing(reason))
    assert activity(found, mig_id(1)) == (Missing(reason),) * 4
    assert activity(found, gpu_id(2)) == (0.3, 0.2, 0.1, 0.4)


def test_a_page_that_is_switched_off_changes_nothing():
    driver = reading([TWO])
    assert told(driver, Missing(Reason.NOT_CONFIGURED)).driver is driver


@pytest.mark.parametrize(("age", "expected"), [(90.0, 0.5), (90.1, STALE)])
def test_a_sample_that_is_too_old_is_stale(age: float, expected: Reading):
    found = told(reading([TWO]), page(row(1), row(2), seen=NOW - age))
    assert activity(found, mig_id(1))[0] == expected
    assert found.refused == ({} if expected == 0.5 else {"sample_stale": 1})


@pytest.mark.parametrize(
    ("rows", "orphans"),
    [
        ((row(1), row(2), row(3)), 1),
        ((row(1),), 0),
        ((row(1), row(2, profile="3g.40gb")), 0),
    ],
    ids=["one too many", "one too few", "another size"],
)
def test_a_page_of_another_layout_says_nothing_of_any_instance(rows: Iterable[DcgmDevice], orphans: int):
    found = told(reading([TWO]), page(*rows))
    for number in (1, 2):
        assert activity(found, mig_id(number)) == (AMBIGUOUS,) * 4
    assert {kind for kind, _ in found.findings} == ({"unresolved_device_id"} if orphans else set())
    assert len(found.findings) == orphans


@pytest.mark.parametrize(
    "rows",
    [(row(1, profile="1g.11gb"), row(2)), (row(1, profile=""), row(2)), (row(1), row(2), row(7, profile=""))],
    ids=["rounded wrongly", "no label", "no compute instance"],
)
def test_a_label_that_is_wrong_by_itself_is_no_other_layout(rows: Iterable[DcgmDevice]):
    found = told(reading([TWO]), page(*rows))
    assert activity(found, mig_id(2))[0] == 0.5
    assert found.findings == frozenset()


def test_instances_on_the_page_of_a_gpu_that_is_whole_are_another_layout():
    found = told(reading([replace(gpu(1), architecture="turing")], {gpu_id(1): PRE_GPM}), page(row(None), row(1)))
    assert activity(found, gpu_id(1)) == (0.77, AMBIGUOUS, AMBIGUOUS, AMBIGUOUS)


def test_a_sample_that_is_older_than_the_layout_says_nothing():
    """Numbers are used again: instance 1 of yesterday is another tenant's today."""
    found = told(reading([TWO]), page(row(1), row(2), seen=NOW - 20), since=NOW - 10)
    assert activity(found, mig_id(1)) == (NOT_YET,) * 4
    assert activity(told(reading([TWO]), page(row(1), row(2)), since=NOW - 20), mig_id(1))[0] == 0.5


def test_compute_instances_of_one_gpu_instance_have_no_activity_of_their_own():
    split = ampere(1, instance(1, 1, ci=0), instance(2, 1, ci=1), instance(3, 2))
    found = told(reading([split]), page(row(1), row(2)))
    assert activity(found, mig_id(1)) == activity(found, mig_id(2)) == (NONE,) * 4
    assert activity(found, mig_id(3))[0] == 0.5


def test_a_lone_compute_instance_that_is_smaller_than_its_gpu_instance_is_full_at_its_own_ceiling():
    """1c of 3g.40gb: 20 of 60 SMs read a third when they are full; its memory bandwidth is the GPU instance's."""
    lone = replace(instance(1, 1, "3g.40gb", sms=20.0), profile="1c.3g.40gb")
    found = told(reading([ampere(1, lone)]), page(row(1, 1 / 3, "3g.40gb", sm=0.3, tensor=0.1, bandwidth=0.2)))
    assert list(activity(found, mig_id(1))) == pytest.approx([1.0, 0.9, 0.3, 0.2])
    unlisted = replace(ampere(1, lone), profiles=())
    assert activity(told(reading([unlisted]), page(row(1, 1 / 3, "3g.40gb"))), mig_id(1)) == (NONE, NONE, NONE, 0.2)


@pytest.mark.parametrize(
    ("architecture", "profiles", "low"),
    [
        ("ampere", ("1g.10gb", "3g.40gb"), [False, True]),
        ("ampere", ("1g.10gb", "1g.10gb"), [False, False]),
        ("hopper", ("1g.10gb", "3g.40gb"), [False, False]),
    ],
)
def test_of_mixed_sizes_on_ampere_the_larger_ones_are_told_with_low_confidence(
    architecture: str, profiles: tuple[str, ...], low: list[bool]
):
    instances = [instance(n, n, profile) for n, profile in enumerate(profiles, 1)]
    driver = reading([replace(gpu(1, instances), architecture=architecture)])
    found = told(driver, page(*(row(n, 0.5, profile) for n, profile in enumerate(profiles, 1))))
    sampled = [used(found, mig_id(n)).sampled for n in (1, 2)]
    assert [each is not None and each.low_confidence for each in sampled] == low


def test_a_mean_covers_a_process_that_has_been_there_since_before_it_began():
    """A tenant that has just come is not what the sample is of, whether that says busy or idle."""

    def covers(now: float, memory: ActivityMemory, *pids: int) -> tuple[tuple[bool, bool], ActivityMemory]:
        driver = reading([TWO], {mig_id(1): use(tuple(process(pid) for pid in pids))})
        found, after = with_activity(driver, page(row(1), row(2), seen=now), now, memory)
        sampled = used(found, mig_id(1)).sampled
        assert sampled is not None
        return (sampled.covers, sampled.engine is not None), after

    # A sample of now may be of what was from 45 s ago on, three together of what was from 105 s ago on.
    steps = [
        (100.0, (7,)),
        (144.9, (7,)),
        (145.0, (7,)),
        (204.9, (7,)),
        (205.0, (7,)),
        (206.0, (7, 8)),
        (251.0, (7, 8)),
    ]
    memory, found = ActivityMemory(), []
    for now, pids in [*steps, (311.0, (7, 8)), (312.0, (7,)), (313.0, ()), (314.0, (9,))]:
        covered, memory = covers(now, memory, *pids)
        found.append(covered)
    neither, one, both = (False, False), (True, False), (True, True)
    assert found == [neither, neither, one, one, both, neither, one, both, both, both, neither]


def test_too_few_samples_are_not_looked_at_together():
    found = told(reading([TWO]), page(row(1, engine_least=NOT_YET, engine_most=NOT_YET), row(2)))
    sampled = [used(found, mig_id(n)).sampled for n in (1, 2)]
    assert [None if each is None else each.engine for each in sampled] == [None, EngineRun(NOW - 125, 0.5, 0.5)]


def test_a_lost_gpu_has_no_activity_whatever_the_page_says():
    lost = replace(TWO, lost=True)
    assert activity(told(reading([lost]), page(row(1), row(2))), mig_id(1)) == (NONE,) * 4


def test_a_gpu_that_the_page_does_not_have_stays_as_it_was():
    found = told(reading([TWO]), page(row(1), number=9))
    assert activity(found, mig_id(1)) == (NONE,) * 4
    assert found.findings == frozenset()


def test_what_a_page_refused_is_counted_once_however_long_it_stands():
    driver = reading([TWO])
    dcgm = page(row(1), row(2), untrusted={"ratio_above_one": 2})
    first, memory = with_activity(driver, dcgm, NOW, ActivityMemory())
    again, memory = with_activity(driver, dcgm, NOW + 1, memory)
    new, _ = with_activity(driver, replace(dcgm, serial=2), NOW + 15, memory)
    assert [dict(each.refused) for each in (first, again, new)] == [{"ratio_above_one": 2}, {}, {"ratio_above_one": 2}]
