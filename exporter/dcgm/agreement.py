"""One value of several rows that say the same field of the same device: copies for each owner, or each owner's part. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from exporter.dcgm.hints import NOBODY, Hint


@dataclass(frozen=True, slots=True)
class Agreed:
    """What became of rows beyond the one that is stored."""

    collapsed: int = 0
    per_owner: int = 0
    conflicting: int = 0

    def __add__(self, other: Agreed) -> Agreed:
        """Count both."""
        return Agreed(
            self.collapsed + other.collapsed,
            self.per_owner + other.per_owner,
            self.conflicting + other.conflicting,
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """The device's value, None where there is none; what of it is whose; and the check that tripped, empty for none."""

    value: float | None
    counted: Agreed
    parts: tuple[tuple[Hint, float], ...] = ()
    check: str = ""


def agree(rows: Sequence[tuple[float, Hint]]) -> Agreement:
    """Settle two rows or more.

    All equal: it is the device's value, and if several owners have it, nobody's share. Else rows without an owner that
    agree are the device, and the others their owners' parts; parts that are all 0 on a device that is not are what the
    exporter prints without the host's pids, and no evidence.
    """
    values = {value for value, _ in rows}
    if len(values) == 1:
        owners = {owner.owner for _, owner in rows if owner != NOBODY}
        check = "copied_to_owners" if len(owners) > 1 else ""
        return Agreement(rows[0][0], Agreed(collapsed=len(rows) - 1), check=check)
    device = [value for value, owner in rows if owner == NOBODY]
    if len(set(device)) != 1:
        return Agreement(None, Agreed(conflicting=len(rows)), check="conflicting_duplicates")
    parts = tuple((owner, value) for value, owner in rows if owner != NOBODY)
    counted = Agreed(collapsed=len(device) - 1, per_owner=len(parts))
    if device[0] > 0 and all(value == 0 for _, value in parts):
        return Agreement(device[0], counted, check="per_pod_zero")
    return Agreement(device[0], counted, parts)
