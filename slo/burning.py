"""Which partitions burn their budget too fast, and where many burn for one reason. One formula for now and for histories.

Works on counts of whatever shape: [partitions] as of now, [partitions, minutes] for a history. The rules do the same in
PromQL (`slo.rules.windows`, `slo.rules.rollups`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from slo.burnrate import (
    FLEET_PARTITIONS,
    FLEET_SHARE,
    GPU_PARTITIONS,
    GPU_SHARE,
    HOUR,
    NODE_GPUS,
    UNMET_FLOOR,
    UNMET_RATIO,
    UNMET_WINDOW,
    Threshold,
    thresholds,
)
from slo.entity import Entity, Facts, labels
from slo.spec import Objective, PartitionSLO, Severity
from slo.verdicts import Alert, AlertName
from slo.windows import Counted, Counts

Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Group:
    """Rows that belong together: `of` has each row's group, `keys` what each group is."""

    keys: tuple[tuple[str, ...], ...]
    of: npt.NDArray[np.intp]

    def count(self, flags: Flags | Counted) -> Counted:
        """Return the sum of each group's rows; of flags, how many are set."""
        found = np.zeros((len(self.keys), *flags.shape[1:]), dtype=np.int32)
        np.add.at(found, self.of, flags)
        return found


def group(keys: Sequence[tuple[str, ...]]) -> Group:
    """Group rows by key, in order of appearance."""
    numbers = {key: number for number, key in enumerate(dict.fromkeys(keys))}
    return Group(tuple(numbers), np.array([numbers[key] for key in keys], dtype=np.intp))


@dataclass(frozen=True, slots=True)
class Raised:
    """An alert, when its condition holds, and how many bad slices its last hour had (arrays without the rows' axis)."""

    alert: Alert
    holds: Flags
    bad_1h: Counted


@dataclass(frozen=True, slots=True)
class Burning:
    """The conditions of an SLO for the rows of a table of partitions."""

    spec: PartitionSLO
    entities: tuple[Entity, ...]
    facts: tuple[Facts, ...]

    def partitions(self, counts: Counts) -> tuple[list[Raised], Flags]:
        """Return the partitions' own alerts whose condition holds somewhere, and where each row burns so as to page."""
        last_hour = counts.bad(HOUR)
        paging = np.zeros(last_hour.shape, dtype=bool)
        found: list[Raised] = []
        for objective in self.spec.objectives:
            mine = self._rows(objective)
            if not len(mine):
                continue
            for pairs in _pairs(self.spec, objective):
                holds = _burns(pairs, counts, mine)
                if pairs[0].severity is Severity.PAGE:
                    paging[mine] |= holds
                found += self._partitions(AlertName.PARTITION, mine, holds, last_hour, objective, pairs[0])
            if objective.asks:
                found += self._partitions(AlertName.UNMET, mine, _unmet(counts, mine), last_hour, objective, None)
        return found, paging

    def wider(self, paging: Flags, used: Flags, last_hour: Counted) -> Iterator[Raised]:
        """Yield the alerts of GPUs and nodes. `used` is which rows had a valid slice within the hour.

        The rows must be all partitions of the nodes that they are on.
        """
        site = self.spec.group_by
        gpus = group([(*one.site, known.node, one.gpu) for one, known in zip(self.entities, self.facts, strict=True)])
        burning, valid, bad = gpus.count(paging), gpus.count(used), gpus.count(last_hour)
        wide = (burning >= GPU_PARTITIONS) & (burning >= GPU_SHARE * valid)
        yield from self._groups(AlertName.GPU, gpus, (*site, "node", "gpu"), wide, bad)
        nodes = group([key[:-1] for key in gpus.keys])
        yield from self._groups(
            AlertName.NODE, nodes, (*site, "node"), nodes.count(wide) >= NODE_GPUS, nodes.count(bad)
        )

    def fleet(self, sites: Group, burning: Counted, valid: Counted, bad: Counted) -> Iterator[Raised]:
        """Yield the alerts of whole sites, from how many of their partitions page and had a valid slice within the hour."""
        most = (burning >= FLEET_PARTITIONS) & (burning >= FLEET_SHARE * valid)
        yield from self._groups(AlertName.FLEET, sites, self.spec.group_by, most, bad)

    def sites(self) -> Group:
        """Return the rows' sites."""
        return group([one.site for one in self.entities])

    def _rows(self, objective: Objective) -> npt.NDArray[np.intp]:
        dimension = self.spec.sli.dimension
        chosen = [
            row for row, known in enumerate(self.facts) if self.spec.objective(known.klass(dimension)) is objective
        ]
        return np.array(chosen, dtype=np.intp)

    def _partitions(
        self,
        name: AlertName,
        rows: npt.NDArray[np.intp],
        holds: Flags,
        last_hour: Counted,
        objective: Objective,
        threshold: Threshold | None,
    ) -> Iterator[Raised]:
        severity = Severity.TICKET if threshold is None else threshold.severity
        more = {"objective": objective.name} | ({} if threshold is None else {"burn": threshold.burn.name})
        somewhere = holds.reshape(len(rows), -1).any(axis=1)
        for number in np.flatnonzero(somewhere):
            row = rows[number]
            own = alert_labels(self.spec, name, severity, self._partition_labels(row) | more)
            yield Raised(Alert(name, severity, self.spec.name, own, self.entities[row]), holds[number], last_hour[row])

    def _partition_labels(self, row: int) -> dict[str, str]:
        known = self.facts[row]
        return labels(self.entities[row], self.spec.group_by) | {
            "node": known.node,
            "sharing": known.sharing,
            "class": known.klass(self.spec.sli.dimension),
        }

    def _groups(
        self, name: AlertName, groups: Group, names: Sequence[str], holds: Flags, bad: Counted
    ) -> Iterator[Raised]:
        somewhere = holds.reshape(len(groups.keys), -1).any(axis=1)
        for number in np.flatnonzero(somewhere):
            own = alert_labels(self.spec, name, Severity.PAGE, dict(zip(names, groups.keys[number], strict=True)))
            yield Raised(Alert(name, Severity.PAGE, self.spec.name, own), holds[number], bad[number])


def alert_labels(spec: PartitionSLO, name: AlertName, severity: Severity, more: Mapping[str, str]) -> dict[str, str]:
    """Return an alert's label set. As Prometheus has it, a label without text is no label."""
    common = {
        "alertname": name.value,
        "severity": severity.value,
        "slo": spec.name,
        "guarantee": spec.sli.guarantee,
    }
    return {key: text for key, text in {**spec.alerting.labels, **common, **more}.items() if text}


def _pairs(spec: PartitionSLO, objective: Objective) -> Iterator[tuple[Threshold, ...]]:
    """The thresholds that a total breach can reach, by name (fast, slow)."""
    for name in ("fast", "slow"):
        found = tuple(one for one in thresholds(spec, objective) if one.burn.name == name and one.possible)
        if found:
            yield found


def _burns(pairs: Sequence[Threshold], counts: Counts, rows: npt.NDArray[np.intp]) -> Flags:
    first, *rest = (
        (counts.bad(pair.burn.short)[rows] > pair.short_above) & (counts.bad(pair.burn.long)[rows] > pair.long_above)
        for pair in pairs
    )
    for more in rest:
        first = first | more
    return first


def _unmet(counts: Counts, rows: npt.NDArray[np.intp]) -> Flags:
    bad = counts.bad(UNMET_WINDOW)[rows]
    return (bad >= UNMET_FLOOR) & (bad > UNMET_RATIO * counts.valid(UNMET_WINDOW)[rows])
