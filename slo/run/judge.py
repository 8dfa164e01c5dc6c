"""Minutes of raw samples into the evaluator, SLO by SLO, and what it answers."""

from __future__ import annotations

from collections.abc import Sequence

from exporter.catalogue import GUARANTEE_SECONDS, PARTITION_INFO, PROMISE_INFO
from slo.entity import Entity, Facts
from slo.grid import counters, facts
from slo.live import Live, budgets_by_objective
from slo.run.status import BudgetRow
from slo.samples import Samples
from slo.slices import slices
from slo.spec import SLICE, PartitionSLO
from slo.verdicts import Firing

COUNTER, INFO, PROMISE = GUARANTEE_SECONDS.name, PARTITION_INFO.name, PROMISE_INFO.name


class Judges:
    """The live evaluators of some SLOs, fed together."""

    def __init__(self, specs: Sequence[PartitionSLO]) -> None:
        self.specs = tuple(specs)
        self._live = {spec.name: Live(spec) for spec in specs}
        self._firing: tuple[Firing, ...] = ()
        self._known: dict[tuple[str, ...], dict[Entity, Facts]] = {}

    def learn(self, info: Samples, promise: Samples) -> None:
        """Take in who the partitions are; what was known of those that are gone is kept for history's sake."""
        for group_by in {spec.group_by for spec in self.specs}:
            self._known.setdefault(group_by, {}).update(facts(info, promise, group_by))

    def forget(self) -> None:
        """Drop what is known of partitions that no SLO counts any more."""
        for group_by, known in self._known.items():
            alive = {who for live in self._live.values() if live.spec.group_by == group_by for who in live.entities()}
            self._known[group_by] = {who: one for who, one in known.items() if who in alive}

    def replay(self, samples: Samples, first: int, last: int) -> None:
        """Push the minutes after `first` up to `last` as history; the samples must reach five minutes before `first`."""
        for spec in self.specs:
            values = counters(samples, spec.sli.guarantee, spec.group_by, first, last)
            self._live[spec.name].replay(slices(spec, values, self._known[spec.group_by]))

    def minute(self, samples: Samples, at: int) -> int:
        """Push the minute that ends at `at`; return how many partitions it has. The samples hold it and the one before."""
        firing: list[Firing] = []
        partitions: set[Entity] = set()
        for spec in self.specs:
            values = counters(samples, spec.sli.guarantee, spec.group_by, at - SLICE, at)
            partitions.update(values.entities)
            page = slices(spec, values, self._known[spec.group_by])
            firing += self._live[spec.name].advance(at, page)
        self._firing = tuple(firing)
        return len(partitions)

    def firing(self) -> tuple[Firing, ...]:
        """Return what fires after the last minute."""
        return self._firing

    def budgets(self) -> tuple[BudgetRow, ...]:
        """Return the budgets of objectives, and of namespaces."""
        rows = [
            BudgetRow(slo=slo, objective=objective, namespace="", budget=budget)
            for (slo, objective), budget in budgets_by_objective(self._live).items()
        ]
        for spec in self.specs:
            for tenant, budget in self._live[spec.name].budgets().items():
                objective = spec.objective(tenant.klass)
                if objective is not None:
                    rows.append(
                        BudgetRow(slo=spec.name, objective=objective.name, namespace=tenant.namespace, budget=budget)
                    )
        return tuple(rows)
