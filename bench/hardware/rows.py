"""What a tenant measured, what it was entitled to, and what was said of it, in one row: pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from bench.hardware.demand import Truth, entitled
from bench.hardware.judging import Said
from bench.hardware.scenarios import Scenario, Tenant

Answers = Mapping[tuple[str, str], Said]
"""What was said, by tenant and guarantee."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A tenant's own measure. `share` is of the device's time, `think` the mean pause in seconds.

    `sampled` is the same share as the driver's per-process samples have it; None where it has none.
    """

    share: float
    think: float
    sampled: float | None


def rows(scenario: Scenario, measured: Mapping[str, Measured], said: Answers) -> list[dict[str, Any]]:
    """Return a scenario's rows, one a tenant."""
    return [_row(scenario, tenant, measured, said) for tenant in scenario.tenants]


def _row(scenario: Scenario, tenant: Tenant, measured: Mapping[str, Measured], said: Answers) -> dict[str, Any]:
    own = measured[tenant.name]
    promised = scenario.promised(tenant)
    due = entitled(tenant.demand, promised, think=own.think) if tenant.holds else 0.0
    truth = Truth(own.share, due)
    compute = said.get((tenant.name, "compute"))
    return {
        "scenario": scenario.name,
        "tenant": tenant.name,
        "holds": tenant.holds,
        "processes": tenant.demand.processes,
        "promised": promised,
        "think": own.think,
        "true_share": own.share,
        "entitled": due,
        "sampled_share": own.sampled,
        "near": truth.near,
        "expected": expected(scenario, truth, _taker(scenario, tenant, measured)),
        "said": None if compute is None else asdict(compute),
        "others": _others(scenario, tenant, said),
    }


def _taker(scenario: Scenario, victim: Tenant, measured: Mapping[str, Measured]) -> str:
    """Who beside the victim had most above its own promise; nobody if nobody had more than it."""
    excess = {
        tenant.name: measured[tenant.name].share - scenario.promised(tenant)
        for tenant in scenario.tenants
        if tenant is not victim
    }
    taker = max(excess, key=lambda name: excess[name], default="")
    return taker if taker and excess[taker] > 0.0 else ""


def expected(scenario: Scenario, truth: Truth, taker: str) -> dict[str, str]:
    """What the judge should say of compute: of a whole GPU its clocks, of a slice what the tenant's measure says."""
    if scenario.blind:
        return _answer("blind")
    if scenario.sharing == "exclusive":
        return _answer("kept")
    if truth.verdict == "broken":
        return _answer("broken", "neighbour" if taker else "", taker)
    return _answer(truth.verdict)


def _answer(outcome: str, cause: str = "", neighbour: str = "") -> dict[str, str]:
    return {"outcome": outcome, "cause": cause, "neighbour": neighbour}


def _others(scenario: Scenario, tenant: Tenant, said: Answers) -> list[dict[str, Any]]:
    found = []
    for (name, guarantee), (outcome, cause) in scenario.others.items():
        if name == tenant.name:
            answer = said.get((name, guarantee))
            due = {"outcome": outcome, "cause": cause}
            found.append({"guarantee": guarantee, "expected": due, "said": None if answer is None else asdict(answer)})
    return found
