"""What if: the same objectives with another target, or with more or less allowed in a minute."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from slo.spec import PartitionSLO


@dataclass(frozen=True, slots=True)
class Variant:
    """One SLO as it is, changed (`target` or `allow`), or of the other set. `spec` has a name of its own."""

    base: str
    target: float | None
    allow: float | None
    spec: PartitionSLO
    other: bool = False

    @property
    def changed(self) -> bool:
        """Whether it is a what-if."""
        return self.target is not None or self.allow is not None

    @property
    def as_is(self) -> bool:
        """Whether it is what was asked about: of the first set, as it is written."""
        return not self.changed and not self.other


def variants(specs: Sequence[PartitionSLO], targets: Sequence[float], allows: Sequence[float]) -> Iterator[Variant]:
    """Yield every SLO as it is, and then with each target and each allowance, one at a time."""
    for spec in specs:
        yield Variant(spec.name, None, None, spec)
        for target in targets:
            objectives = tuple(replace(one, target=target) for one in spec.objectives)
            changed = replace(spec, name=f"{spec.name} target {target:g}", objectives=objectives)
            yield Variant(spec.name, target, None, changed)
        for allow in allows:
            changed = replace(spec, name=f"{spec.name} allow {allow:g}", sli=replace(spec.sli, allow=allow))
            yield Variant(spec.name, None, allow, changed)


def others(specs: Sequence[PartitionSLO]) -> Iterator[Variant]:
    """Yield the SLOs of the other set, to stand beside the first."""
    for spec in specs:
        yield Variant(spec.name, None, None, replace(spec, name=f"{spec.name} (against)"), other=True)
