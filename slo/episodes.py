"""When an alert fires and when it ends, minute by minute, with `keep_firing_for` as Prometheus has it.

The first evaluation whose condition does not hold starts a clock; the alert ends at the first evaluation at least
`keep` seconds later, unless the condition held again in between (rules/alerting.go, `keepFiringSince`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from slo.burning import Flags, Raised
from slo.spec import SLICE
from slo.verdicts import Episode, Firing

Key = tuple[tuple[str, str], ...]

RUN_GAP = 5
"""Minutes without a bad slice that end a run of trouble: the shortest window of any alert."""


def spans(holds: Flags, keep: int) -> Iterator[tuple[int, int | None]]:
    """Yield (first minute, minute that ends it or None) of a condition's firings; `keep` is seconds."""
    edges = np.diff(holds.astype(np.int8), prepend=0, append=0)
    starts, ends = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    after = -(-keep // SLICE)
    total = len(holds)
    since: int | None = None
    for number, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        since = start if since is None else since
        over = end + after
        following = int(starts[number + 1]) if number + 1 < len(starts) else None
        # A condition that holds again at the very evaluation that would have ended it keeps it going.
        if following is not None and following <= over:
            continue
        yield since, over if over < total else None
        since = None


def episodes(raised: Raised, troubled: Flags, first: int, keep: int) -> Iterator[Episode]:
    """Yield an alert's episodes. `troubled` is in which minutes what it is about had a bad slice."""
    for since, until in spans(raised.holds, keep):
        began = _began(troubled, since)
        yield Episode(
            raised.alert,
            first + since * SLICE,
            None if until is None else first + until * SLICE,
            first + began * SLICE,
        )


def _began(troubled: Flags, at: int) -> int:
    """The first bad slice of the run that the minute `at` is in."""
    bad = np.flatnonzero(troubled[: at + 1])
    if not len(bad):
        return at
    breaks = np.flatnonzero(np.diff(bad) > RUN_GAP)
    return int(bad[breaks[-1] + 1] if len(breaks) else bad[0])


@dataclass(frozen=True, slots=True)
class _Fired:
    firing: Firing
    keep: int
    off: int | None  # evaluation at which the condition first held no more


class Machine:
    """The same, live: told each minute which conditions hold, it knows what fires."""

    def __init__(self) -> None:
        self._fired: dict[Key, _Fired] = {}

    def advance(self, at: int, raised: Sequence[tuple[Raised, int]]) -> tuple[Firing, ...]:
        """Return what fires at `at` (Unix seconds). Each condition that holds comes with its spec's keep, in seconds."""
        holding: dict[Key, _Fired] = {}
        for one, keep in raised:
            before = self._fired.get(one.alert.key)
            since = at if before is None else before.firing.since
            holding[one.alert.key] = _Fired(Firing(one.alert, since, int(one.bad_1h)), keep, None)
        for key, before in self._fired.items():
            if key not in holding:
                off = at if before.off is None else before.off
                if at - off < before.keep:
                    holding[key] = _Fired(before.firing, before.keep, off)
        self._fired = holding
        return tuple(one.firing for one in holding.values())
