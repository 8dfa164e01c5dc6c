"""Trust: readings that contradict each other are not believed, from their second tick on, and are counted by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from exporter.catalogue import CHECKS
from exporter.guarantees import JudgeMemory, judge
from exporter.model import Device, Missing, Partition, Reason, Sharing, Snapshot
from exporter.policy import Policy
from exporter.trust import TrustMemory, examine
from exporter.verdict import Guarantee, Outcome, Verdict
from tests.judge.made import CLOCKS, GIB, POLICY, UNREAD, device, partition, process, slice_of, snapshot

C, M, S = Guarantee.COMPUTE, Guarantee.MEMORY, Guarantee.ISOLATION
UNSUPPORTED = Missing(Reason.UNSUPPORTED)


def told(*instants: Snapshot) -> tuple[frozenset[Guarantee], dict[str, int]]:
    """What is not believed of the devices at the last instant, and what has been counted."""
    memory = TrustMemory()
    distrusted: frozenset[Guarantee] = frozenset()
    for instant in instants:
        holders = {d.uuid: [p for p in instant.partitions if p.key.device == d.uuid] for d in instant.devices}
        trust, memory = examine(instant, holders, Policy(), memory)
        distrusted = frozenset().union(*trust.distrusted.values())
    return distrusted, dict(memory.refused)


def of(held: Device, holders: Sequence[Partition] = ()) -> Snapshot:
    return snapshot(*holders, devices=[held])


def tenants(*uses: tuple[float, float], **readings: object) -> Snapshot:
    """Time slices of a device with these readings, by share used and bytes used."""
    held = device(**readings)  # type: ignore[arg-type]
    made = [
        slice_of(f"p{n}", held, size, sharing=Sharing.TIME_SLICING, used_compute=share)
        for n, (share, size) in enumerate(uses)
    ]
    return of(held, made)


TRIPPED = [
    ("engine_idle_utilisation_high", of(device(engine_active=0.0, utilisation=0.5)), {C}),
    ("engine_idle_utilisation_high", of(device(engine_active=0.0, utilisation=UNREAD, processes=(process(1, sm=0.3), process(2, sm=0.3)))), {C}),
    ("ratio_above_one", of(device(sm_active=1.294)), {C}),
    ("ratio_above_one", of(device(engine_active=1.06)), {C}),
    ("ratio_above_one", of(device(tensor_active=1.2)), {C}),
    ("ratio_above_one", of(device(memory_bandwidth=1.2)), {C}),
    ("ratio_above_one", of(device(utilisation=1.2)), {C}),
    ("ratio_above_one", of(device(processes=(process(1, sm=1.2),))), {C}),
    ("ratio_above_one", of(device(processes=tuple(process(n, sm=0.6) for n in range(2)))), {C}),
    ("process_memory_above_device", of(device(memory_used_bytes=10 * GIB, processes=(process(1, 12 * GIB),))), {M, S}),
    ("process_memory_above_device", of(device(memory_used_bytes=10 * GIB, processes=tuple(process(n, 6 * GIB) for n in range(2)))), {M, S}),
    ("copied_to_tenants", tenants((0.1, 10 * GIB), (0.2, 10 * GIB)), {C, M, S}),
    ("copied_to_tenants", tenants((0.4, GIB), (0.4, GIB), utilisation=0.4), {C, M, S}),
]  # fmt: skip


@pytest.mark.parametrize(("check", "instant", "blinded"), TRIPPED)
def test_a_contradiction_is_believed_for_one_tick_and_refused_from_the_second_on(
    check: str, instant: Snapshot, blinded: set[Guarantee]
) -> None:
    assert told(instant) == (frozenset(), {})
    assert told(instant, instant) == (frozenset(blinded), {check: 1})
    assert told(instant, instant, instant)[1] == {check: 2}


@pytest.mark.parametrize(("check", "instant", "blinded"), TRIPPED[:1])
def test_a_contradiction_that_goes_away_in_between_starts_over(
    check: str, instant: Snapshot, blinded: set[Guarantee]
) -> None:
    assert blinded
    assert told(instant, of(device()), instant) == (frozenset(), {})
    assert told(instant, of(device()), instant, instant)[1] == {check: 1}


HONEST = [
    of(device(engine_active=0.01, utilisation=0.99)),
    of(device(engine_active=0.0, utilisation=0.49)),
    of(device(engine_active=0.0, utilisation=0.0)),
    of(device(engine_active=UNREAD, utilisation=0.99)),
    of(device(engine_active=1.05, sm_active=1.02, utilisation=1.0)),
    of(device(processes=tuple(process(n, sm=0.26) for n in range(4)))),  # rounded up four times
    of(device(memory_used_bytes=10 * GIB, processes=(process(1, 10.5 * GIB),))),  # allocated between two calls
    of(device(memory_used_bytes=10 * GIB, processes=(process(1, UNREAD), process(2, 9 * GIB)))),
    of(device(processes=UNREAD, memory_used_bytes=UNREAD)),
    tenants((0.1, 10 * GIB), (0.2, 4 * GIB)),  # one tenant alone may hold all that is used
    tenants((0.0, 0.0), (0.0, 0.0), memory_used_bytes=0.0, utilisation=0.0),
    tenants((0.01, GIB), (0.01, 2 * GIB), utilisation=0.01),  # 0.7 % twice and 1.4 %, each in whole percents
    tenants((UNSUPPORTED, GIB), (UNSUPPORTED, 2 * GIB), utilisation=0.4),  # type: ignore[arg-type]
]


@pytest.mark.parametrize("instant", HONEST)
def test_honest_rounding_two_windows_and_missing_readings_contradict_nothing(instant: Snapshot) -> None:
    assert told(instant, instant, instant) == (frozenset(), {})


@pytest.mark.parametrize(
    ("readings", "check", "blinded"),
    [
        ({"engine_active": -1.0}, "ratio_above_one", {C}),
        ({"sm_active": 1e300}, "ratio_above_one", {C}),
        ({"processes": (process(1, sm=-3.0),)}, "ratio_above_one", {C}),
        ({"memory_used_bytes": -1.0}, "process_memory_above_device", {M, S}),
        ({"memory_free_bytes": -1.0}, "process_memory_above_device", {M, S}),
        ({"memory_total_bytes": 1e300}, "process_memory_above_device", {M, S}),
        ({"attached_memory_bytes": -1.0}, "process_memory_above_device", {M, S}),
        ({"processes": (process(1, 2.0**64 - 1),)}, "process_memory_above_device", {M, S}),
    ],
)
def test_a_number_that_no_window_explains_is_refused_at_once(
    readings: dict[str, Any], check: str, blinded: set[Guarantee]
) -> None:
    assert told(of(device(**readings))) == (frozenset(blinded), {check: 1})


def energy(joules: object, ecc: object = 0.0) -> Snapshot:
    held = device(ecc_uncorrected=ecc)
    return snapshot(devices=[held], use=replace(CLOCKS, energy_joules=joules))  # type: ignore[arg-type]


def test_a_counter_that_goes_backwards_is_refused_on_that_tick_and_counted_once() -> None:
    assert told(energy(100.0), energy(200.0)) == (frozenset(), {})
    assert told(energy(100.0), energy(5.0)) == (frozenset({C}), {"counter_backwards": 1})
    assert told(energy(100.0), energy(5.0), energy(6.0)) == (frozenset(), {"counter_backwards": 1})


def test_two_counters_of_one_device_that_go_backwards_are_one_event() -> None:
    assert told(energy(100.0, 4.0), energy(5.0, 0.0))[1] == {"counter_backwards": 1}


def test_a_counter_that_stands_still_or_is_missing_for_a_while_has_not_gone_backwards() -> None:
    assert told(energy(100.0), energy(100.0), energy(UNREAD), energy(100.0)) == (frozenset(), {})


def test_a_sample_older_than_its_period_is_counted() -> None:
    assert told(snapshot(doubt=Reason.STALE))[1] == {"sample_stale": 1}
    assert told(snapshot(doubt=Reason.TIMEOUT))[1] == {}


def test_every_count_is_under_a_name_of_the_contract() -> None:
    assert {check for check, _, _ in TRIPPED} | {"counter_backwards", "sample_stale"} == set(CHECKS)


def outcomes(*instants: Snapshot) -> dict[Guarantee, Verdict]:
    memory, found = JudgeMemory(), None
    for instant in instants:
        verdicts, memory = judge(instant, POLICY, memory)
        (found,) = verdicts.values()
    assert found is not None
    return dict(found)


def test_a_tripped_check_blinds_what_hangs_on_its_readings_and_nothing_else() -> None:
    instant = snapshot(partition(on=device(sm_active=1.294)))
    found = outcomes(instant, instant)
    assert found.pop(C) == Verdict(Outcome.BLIND, Reason.CONTRADICTION)
    assert {verdict.outcome for verdict in found.values()} == {Outcome.KEPT}


def test_a_contradiction_on_a_gpu_blinds_its_instances_and_one_on_an_instance_blinds_no_other() -> None:
    first, second = device(1), device(2, sm_active=1.294)
    parts = (partition("a", first, compute=16 / 132), partition("b", second, compute=16 / 132))
    memory = JudgeMemory()
    for extra in ((), (device(memory_used_bytes=-1.0),)):
        instant = snapshot(*parts, devices=(first, second, *extra))
        _, memory = judge(instant, POLICY, memory)
        verdicts, memory = judge(instant, POLICY, memory)
        blind = {
            key.pod: {g for g, v in found.items() if v.reason is Reason.CONTRADICTION}
            for key, found in verdicts.items()
        }
        if extra:
            assert blind == {"a": {M, S}, "b": {C, M, S}}
        else:
            assert blind == {"a": set(), "b": {C}}
