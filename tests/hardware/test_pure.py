"""Arithmetic of demand, of what was said, and of what the driver said: no process, no clock."""

from __future__ import annotations

import types
from typing import Any

import pytest

from bench.hardware import judging, needs, smi, timeline
from bench.hardware.contend import policy
from bench.hardware.context import Lengths
from bench.hardware.demand import Demand, Kind, Truth, entitled
from bench.hardware.judging import Said
from bench.hardware.probe import Timed
from bench.hardware.rows import Measured, rows
from bench.hardware.scenarios import HOG, SCENARIOS, Scenario, Tenant
from exporter import policyfile

CLOSED = Demand(kind=Kind.CLOSED, burst=10, think=0.06)


@pytest.mark.parametrize(
    ("demand", "promise", "share"),
    [
        (HOG, 0.25, 0.25),
        (Demand(kind=Kind.BACKLOGGED, processes=3), 0.5, 0.5),
        (Demand(kind=Kind.IDLE, memory=0.5), 0.5, 0.0),
        (CLOSED, 1.0, 0.02 / 0.08),
        (CLOSED, 0.5, 0.02 / (0.04 + 0.06)),
        (CLOSED, 0.25, 0.02 / (0.08 + 0.06)),
    ],
)
def test_entitled_is_what_the_tenant_uses_alone_on_a_device_that_fast(
    demand: Demand, promise: float, share: float
) -> None:
    assert entitled(demand, promise, think=demand.think) == pytest.approx(share, rel=0.02)


def test_processes_of_one_tenant_wait_for_each_other_on_the_slower_device() -> None:
    three = Demand(kind=Kind.CLOSED, burst=10, think=0.06, processes=3)
    one = entitled(CLOSED, 0.25, think=0.06)
    assert one < entitled(three, 0.25, think=0.06) < min(0.25, 3 * one)


@pytest.mark.parametrize(
    ("share", "due", "verdict", "near"),
    [
        (0.25, 0.25, "kept", True),
        (0.24, 0.25, "kept", True),
        (0.19, 0.25, "broken", False),
        (0.223, 0.25, "broken", True),
        (0.30, 0.25, "kept", False),
        (0.0, 0.0, "idle", False),
    ],
)
def test_a_truth_is_a_verdict(share: float, due: float, verdict: str, near: bool) -> None:  # noqa: FBT001
    assert (Truth(share, due).verdict, Truth(share, due).near) == (verdict, near)


# --- rows -------------------------------------------------------------------------------------------------------------

CROWD = next(scenario for scenario in SCENARIOS if scenario.name == "crowd")


def test_the_taker_is_who_has_most_above_its_own_promise() -> None:
    said = {("one", "compute"): Said("broken", {"broken": 9.0}, "neighbour", "three", 0.25, 0.5, "queueing")}
    one, three = rows(CROWD, {"one": Measured(0.25, 0.0, 0.24), "three": Measured(0.75, 0.0, None)}, said)
    assert one["expected"] == {"outcome": "broken", "cause": "neighbour", "neighbour": "three"}
    assert one["said"]["neighbour"] == "three"
    assert (one["entitled"], one["near"], one["sampled_share"]) == (0.5, False, 0.24)
    assert three["expected"] == {"outcome": "kept", "cause": "", "neighbour": ""}
    assert three["said"] is None


def test_nobody_is_blamed_when_nobody_has_more_than_its_promise() -> None:
    one, _ = rows(CROWD, {"one": Measured(0.25, 0.0, None), "three": Measured(0.25, 0.0, None)}, {})
    assert one["expected"] == {"outcome": "broken", "cause": "", "neighbour": ""}


@pytest.mark.parametrize(("name", "outcome"), [("alone", "kept"), ("mps", "blind")])
def test_a_whole_gpu_is_kept_by_its_clocks_and_mps_is_blind(name: str, outcome: str) -> None:
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == name)
    measured = {tenant.name: Measured(0.1, 0.0, None) for tenant in scenario.tenants}
    assert {row["expected"]["outcome"] for row in rows(scenario, measured, {})} == {outcome}


def test_other_guarantees_are_laid_beside_what_the_scenario_was_made_for() -> None:
    scenario = next(scenario for scenario in SCENARIOS if scenario.name == "stranger")
    said = {("owner", "isolation"): Said("broken", {"broken": 9.0}, "host_process")}
    measured = {tenant.name: Measured(0.1, 0.09, None) for tenant in scenario.tenants}
    owner, stranger = rows(scenario, measured, said)
    (other,) = owner["others"]
    assert (other["guarantee"], other["expected"]["cause"], other["said"]["cause"]) == (
        "isolation",
        "host_process",
        "host_process",
    )
    assert (stranger["promised"], stranger["entitled"], stranger["others"]) == (0.0, 0.0, [])


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_scenario_fits_its_slots_and_its_policy_is_one(scenario: Scenario) -> None:
    assert sum(tenant.holds for tenant in scenario.tenants) <= scenario.replicas
    assert len({tenant.name for tenant in scenario.tenants}) == len(scenario.tenants)
    told = policyfile.parse(policy(scenario, 10.0))
    assert (told.compute_window, told.time_slicing_memory_fair) == (10.0, scenario.fair_memory)


@pytest.mark.parametrize("lengths", [Lengths(), Lengths.quick(), Lengths.shortest()])
def test_the_window_is_full_when_the_judged_part_begins(lengths: Lengths) -> None:
    assert lengths.window <= lengths.lead < lengths.scenario


# --- what was said ----------------------------------------------------------------------------------------------------


def snapshot(kept: float, broken: float, lost: float) -> dict[str, Any]:
    account = {
        "outcomes": {"kept": kept, "broken": broken},
        "lost": {"neighbour": lost, "switching": lost / 4},
        "lost_to_neighbour": {"kit/hog": lost},
    }
    verdict = {"delivered": 0.2, "entitled": {"missing": "demand_unknown"}, "evidence": "queueing"}
    row = {"namespace": "kit", "pod": "one", "guarantees": {"compute": verdict}}
    return {
        "partitions": [
            {**row, "seconds": {"guarantees": {"compute": account}}},
            {"namespace": "other", "pod": "x", "guarantees": {}, "seconds": {"guarantees": {"compute": account}}},
        ]
    }


def test_what_is_said_is_what_grew_between_two_snapshots() -> None:
    said = judging.said(snapshot(100.0, 2.0, 1.0), snapshot(101.0, 12.0, 5.0))
    assert said == {
        ("one", "compute"): Said("broken", {"kept": 1.0, "broken": 10.0}, "neighbour", "hog", 0.2, None, "queueing", {})
    }
    assert judging.said({"partitions": []}, snapshot(3.0, 1.0, 0.0))["one", "compute"].outcome == "kept"


# --- timelines --------------------------------------------------------------------------------------------------------


def line(at: float, samples: object, **more: object) -> dict[str, Any]:
    return {"at": at, "wall": 1000.0 + at, "samples": samples, "reasons": 0, **more}


def test_a_share_is_of_the_newest_sample_and_an_absent_one_is_zero() -> None:
    lines = [line(0, [[7, 1, 40, 0], [7, 2, 60, 0], [8, 2, 9, 0]]), line(1, [[8, 3, 10, 0]]), line(2, {"code": 6})]
    assert timeline.share(lines, 7) == pytest.approx(0.3)
    assert timeline.share([line(0, {"code": 3})], 7) is None
    assert timeline.refusal(lines, "samples") == 6


def test_periods_and_ages_are_of_the_samples_own_time_stamps() -> None:
    lines = [line(at / 10, [[7, (1000 + at // 5) * 1_000_000, 50, 0]]) for at in range(11)]
    assert timeline.sample_periods(lines) == [1.0, 1.0]
    assert timeline.sample_ages(lines)[-1] == pytest.approx(0.4, abs=1e-6)


def test_a_counter_is_what_it_grew_by_and_in_what_time() -> None:
    rows = [line(at, [], fields={"74": {"value": 100 + at * 7}, "76": {"code": 3}}) for at in (0, 1, 4)]
    assert timeline.counters(rows) == {"74": (28, 4)}
    assert timeline.counters(rows[:1]) == {}


def test_pids_come_from_both_lists_and_a_refused_list_has_none() -> None:
    assert timeline.pids({"pids": [[5, 100], [6, None]], "clients": [[7, 1]]}) == {5, 6, 7}
    assert timeline.pids({"pids": {"code": 3}, "clients": {"code": 3}}) == set()


# --- calls ------------------------------------------------------------------------------------------------------------


class StubError(Exception):
    """A refusal, as pynvml raises it."""

    value = 3


class StubMismatchError(Exception):
    """A symbol that the library lacks."""


class StubThing:
    """A class of the module."""


def clock(handle: object, which: int) -> int:
    """Answer 1; refuse 9; lack 8."""
    assert handle is not None
    if which == 9:
        raise StubError
    if which == 8:
        raise StubMismatchError
    return 1980


LIB = types.SimpleNamespace(
    NVML_CLOCK_SM=1,
    NVMLError=StubError,
    NVMLLibraryMismatchError=StubMismatchError,
    nvmlThing=StubThing,
    nvmlDeviceGetClockInfo=clock,
)


def test_a_call_is_timed_with_its_code_and_a_refusal_is_passed_on() -> None:
    ticks = iter([0.0, 0.001, 1.0, 1.003, 2.0, 2.5, 3.0, 3.25])
    lib = Timed(LIB, clock=lambda: next(ticks))
    assert lib.nvmlDeviceGetClockInfo is lib.nvmlDeviceGetClockInfo  # the source remembers refusals by it
    assert [lib.nvmlDeviceGetClockInfo(object(), lib.NVML_CLOCK_SM) for _ in range(2)] == [1980, 1980]
    with pytest.raises(StubError):
        lib.nvmlDeviceGetClockInfo(object(), 9)
    with pytest.raises(StubMismatchError):
        lib.nvmlDeviceGetClockInfo(object(), 8)
    assert lib.nvmlThing is StubThing
    told = {name: row.summary(name) for name, row in lib.rows.items()}
    answered = told["nvmlDeviceGetClockInfo(1)"]
    assert (answered["calls"], answered["codes"], answered["answer"]) == (2, {"0": 2}, "1980")
    assert (answered["p50_us"], answered["max_us"]) == (3000.0, 3000.0)
    assert told["nvmlDeviceGetClockInfo(9)"]["codes"] == {"3": 1}
    assert told["nvmlDeviceGetClockInfo(8)"]["codes"] == {"13": 1}


# --- nvidia-smi -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "theirs", "ours", "shown", "agrees"),
    [
        ("memory.used", "1024", 1030.0 * (1 << 20), 1030.0, True),
        ("memory.used", "1024", 2048.0 * (1 << 20), 2048.0, False),
        ("power.draw", "[N/A]", {"missing": "unsupported"}, "missing: unsupported", True),
        ("power.draw", "70.11", {"missing": "unsupported"}, "missing: unsupported", False),
        ("power.draw", "[N/A]", 70.0, 70.0, False),
        ("mig.mode.current", "Disabled", False, "Disabled", True),
        ("mig.mode.current", "[N/A]", {"missing": "unsupported"}, "missing: unsupported", True),
        ("compute_mode", "Exclusive_Process", True, "Exclusive_Process", True),
        ("name", "NVIDIA L40S", "NVIDIA L40S", "NVIDIA L40S", True),
        ("vbios_version", "96.0", None, None, None),
    ],
)
def test_a_field_of_nvidia_smi_agrees_or_does_not(
    query: str, theirs: str, ours: object, shown: object, agrees: object
) -> None:
    field = next(field for field in smi.FIELDS if field.query == query)
    snapshot: dict[str, Any] = {"driver": "590", "gpus": [{"uuid": "GPU-1"}], "devices": [{"uuid": "GPU-1"}]}
    if field.path:
        *above, last = field.path
        at: dict[str, Any] = {"gpu": snapshot["gpus"][0], "device": snapshot["devices"][0]}
        for step in above:
            at = at.setdefault(step, {})
        at[last] = ours
    row = next(row for row in smi.compare({query: theirs}, snapshot, "GPU-1") if row["field"] == query)
    assert (row["slicewatch"], row["agrees"]) == (shown, agrees)


def test_what_a_bare_machine_lacks_is_told_in_words_that_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "MODULES", {"json": "json", "no_such_module.inside": "absent-package"})
    monkeypatch.setattr(needs, "LIBRARIES", {"libnosuch.so.1": "a library that nobody has"})
    packages, library = needs.missing()
    assert packages.startswith("Python packages: absent-package;")
    assert library.startswith("libnosuch.so.1 (a library that nobody has): ")


def test_a_tenant_that_holds_nothing_is_promised_nothing() -> None:
    stranger = Tenant(name="x", demand=HOG, holds=False)
    assert (CROWD.promised(stranger), CROWD.promised(CROWD.tenants[0])) == (0.0, 0.5)
