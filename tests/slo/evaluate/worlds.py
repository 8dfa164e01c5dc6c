"""Small random fleets, and the evaluator's answers worked out again by counting, one minute and one partition at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from slo.burnrate import thresholds
from slo.entity import Entity, Facts
from slo.sli import BAD, GOOD, IDLE, UNKNOWN
from slo.slices import Slices
from slo.spec import Alerting, Objective, PartitionSLO, Severity, Sli, Subject

FIRST = 1_700_000_040 // 60 * 60
DAY = 86400


def spec(target: float = 0.99, keep: int = 300, floor: int = 3, period: int = 30 * DAY) -> PartitionSLO:
    return PartitionSLO(
        name="compute",
        sli=Sli(subject=Subject.GUARANTEE, guarantee="compute", dimension="compute", allow=0.25),
        period=period,
        objectives=(
            Objective(name="hard", classes=("isolated",), target=target, fast=Severity.PAGE, slow=Severity.TICKET),
            Objective(name="soft", classes=("declared",), target=0.95, fast=Severity.TICKET, slow=Severity.TICKET),
        ),
        alerting=Alerting(min_bad_slices=floor, keep_firing_for=keep),
    )


def partition(
    number: int, *, gpu: int = 0, node: str = "n1", klass: str = "isolated", namespace: str = "ml"
) -> tuple[Entity, Facts]:
    who = Entity((), f"GPU-{node}-{gpu}", f"MIG-{number}", namespace, f"pod-{number}", "main")
    return who, Facts(node=node, sharing="mig", classes={"compute": klass})


def world(rows: list[list[int]], members: list[tuple[Entity, Facts]]) -> Slices:
    return Slices(
        tuple(who for who, _ in members), tuple(known for _, known in members), FIRST, np.array(rows, dtype=np.uint8)
    )


@st.composite
def fleets(draw: st.DrawFn) -> Slices:
    """Fleets of some minutes in which trouble comes in runs, as it does."""
    count = draw(st.integers(1, 6))
    minutes = draw(st.integers(1, 200))
    members = [
        partition(
            number,
            gpu=draw(st.integers(0, 1)),
            node=draw(st.sampled_from(["n1", "n2"])),
            klass=draw(st.sampled_from(["isolated", "isolated", "declared"])),
        )
        for number in range(count)
    ]
    rows = []
    for _ in range(count):
        row: list[int] = []
        while len(row) < minutes:
            state = draw(st.sampled_from([UNKNOWN, IDLE, GOOD, GOOD, BAD, BAD]))
            row += [state] * draw(st.integers(1, 40))
        rows.append(row[:minutes])
    return world(rows, members)


@dataclass(frozen=True)
class Counted:
    """The reference: states as lists, windows counted anew for each minute."""

    spec: PartitionSLO
    slices: Slices

    def window(self, row: int, minute: int, seconds: int, least: int) -> int:
        part = self.slices.states[row].tolist()[max(0, minute + 1 - seconds // 60) : minute + 1]
        return sum(state >= least for state in part)

    def holds(self, minute: int) -> dict[tuple[str, ...], str]:
        """Alerts whose condition holds, by (name, about…, burn), with their severity."""
        found: dict[tuple[str, ...], str] = {}
        paging = []
        for row, (who, known) in enumerate(zip(self.slices.entities, self.slices.facts, strict=True)):
            objective = self.spec.objective(known.klass("compute"))
            assert objective is not None
            for pair in thresholds(self.spec, objective):
                short = self.window(row, minute, pair.burn.short, BAD)
                long = self.window(row, minute, pair.burn.long, BAD)
                if short > pair.short_above and long > pair.long_above:
                    found["GPUPartitionPromiseBurn", who.pod, pair.burn.name] = pair.severity.value
                    if pair.severity is Severity.PAGE:
                        paging.append(row)
            bad = self.window(row, minute, DAY, BAD)
            if bad >= 5 and bad > 0.5 * self.window(row, minute, DAY, GOOD):
                found["GPUPartitionPromiseUnmetWhenUsed", who.pod] = "ticket"
        return found | self._wider(set(paging), minute)

    def _wider(self, paging: set[int], minute: int) -> dict[tuple[str, ...], str]:
        where = [(known.node, who.gpu) for who, known in zip(self.slices.entities, self.slices.facts, strict=True)]
        used = Counter(where[row] for row in range(len(where)) if self.window(row, minute, 3600, GOOD))
        burning = Counter(where[row] for row in paging)
        wide = [gpu for gpu, count in burning.items() if count >= 2 and count >= 0.5 * used[gpu]]
        nodes = Counter(node for node, _ in wide)
        found: dict[tuple[str, ...], str] = {("GPUWidePromiseBurn", *gpu): "page" for gpu in wide}
        found |= {("GPUNodeWidePromiseBurn", node): "page" for node, count in nodes.items() if count >= 2}
        return found
