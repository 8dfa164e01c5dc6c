"""Budgets: slices of a period, summed over a namespace's class, a node, a partition or everything."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from slo.burning import Raised, alert_labels
from slo.burnrate import TENANT_FLOOR, exact
from slo.entity import Entity, Facts
from slo.sli import IDLE, States
from slo.slices import Slices
from slo.spec import Objective, PartitionSLO, Severity
from slo.verdicts import Alert, AlertName, Budget
from slo.windows import Counted

_STATES = 4

K = TypeVar("K")


class Tenant(NamedTuple):
    """A namespace's partitions of one promise class; its budget outlives its pods."""

    site: tuple[str, ...]
    namespace: str
    klass: str


def tenant(spec: PartitionSLO, entity: Entity, known: Facts) -> Tenant:
    """Return whose budget a partition is on."""
    return Tenant(entity.site, entity.namespace, known.klass(spec.sli.dimension))


def tally(states: States) -> npt.NDArray[np.int64]:
    """Return [partitions, 4] slices by state. Unknown counts from a partition's first to its last measured slice only."""
    found = np.stack([(states == state).sum(axis=1) for state in range(_STATES)], axis=1).astype(np.int64)
    measured = states >= IDLE
    lived = measured.any(axis=1)
    first, last = measured.argmax(axis=1), states.shape[1] - 1 - measured[:, ::-1].argmax(axis=1)
    found[:, 0] = np.where(lived, last - first + 1 - found[:, 1:].sum(axis=1), 0)
    return found


def budget(objective: Objective, counted: npt.NDArray[np.int64]) -> Budget:
    """Return a budget of slices by state."""
    unknown, idle, good, bad = (int(number) for number in counted)
    return Budget(objective.target, good, bad, idle, unknown)


def partitions(spec: PartitionSLO, found: Slices) -> dict[Entity, Budget]:
    """Return each partition's budget."""
    return _summed(spec, found, lambda one, _: one)


def tenants(spec: PartitionSLO, found: Slices) -> dict[Tenant, Budget]:
    """Return the budgets of namespaces by class."""
    return _summed(spec, found, lambda one, known: tenant(spec, one, known))


def objectives(spec: PartitionSLO, found: Slices) -> dict[str, Budget]:
    """Return the budget of all partitions of each objective, by its name; one without a partition has no slice."""
    dimension = spec.sli.dimension
    nothing = {one.name: Budget(one.target, 0, 0, 0, 0) for one in spec.objectives}

    def name(_: Entity, known: Facts) -> str:
        objective = spec.objective(known.klass(dimension))
        return "" if objective is None else objective.name

    return nothing | _summed(spec, found, name)


def raised(spec: PartitionSLO, whose: Tenant, bad: Counted, valid: Counted) -> tuple[Raised, ...]:
    """Return a tenant's ticket, if it is due anywhere: `bad` and `valid` are its slices of the period, at each evaluation."""
    objective = spec.objective(whose.klass)
    if objective is None or not objective.asks:
        return ()
    # Nothing is divided: spent when the bad slices are more than the target leaves of the valid ones.
    spent = (bad >= TENANT_FLOOR) & (bad > exact(1.0 - objective.target) * valid)
    if not spent.any():
        return ()
    more = dict(zip(spec.group_by, whose.site, strict=True))
    more |= {"namespace": whose.namespace, "class": whose.klass, "objective": objective.name}
    labels = alert_labels(spec, AlertName.TENANT, Severity.TICKET, more)
    return (Raised(Alert(AlertName.TENANT, Severity.TICKET, spec.name, labels), spent, bad),)


def _summed(spec: PartitionSLO, found: Slices, key: Callable[[Entity, Facts], K]) -> dict[K, Budget]:
    counted = tally(found.states)
    sums: dict[K, npt.NDArray[np.int64]] = {}
    whose: dict[K, Objective] = {}
    for row, (one, known) in enumerate(zip(found.entities, found.facts, strict=True)):
        objective = spec.objective(known.klass(spec.sli.dimension))
        if objective is not None:
            name = key(one, known)
            whose[name] = objective
            sums[name] = sums.get(name, np.zeros(_STATES, dtype=np.int64)) + counted[row]
    return {name: budget(whose[name], sums[name]) for name in sums}


def worst_first(budgets: Mapping[K, Budget]) -> list[tuple[K, Budget]]:
    """Order budgets by what is left of them; those without a valid slice come last."""
    return sorted(budgets.items(), key=lambda pair: float("inf") if pair[1].remaining is None else pair[1].remaining)
