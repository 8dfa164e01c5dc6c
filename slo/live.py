"""The evaluator minute by minute: three days of slices in a ring, and window counts kept up by what enters and leaves.

The same formulas as for a history (`slo.burning`, `slo.budget`), on counts as of now; tests hold the two to one answer.
Memory is a byte for each partition, SLO and minute of three days: 4.3 kB a partition and SLO.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from slo import budget
from slo.burning import Burning, Flags, Raised
from slo.burnrate import HOUR
from slo.entity import Entity, Facts
from slo.episodes import Machine
from slo.sli import BAD, GOOD, IDLE, UNKNOWN, States
from slo.slices import Slices
from slo.spec import SLICE, PartitionSLO
from slo.verdicts import Budget, Firing
from slo.windows import BAD_WINDOWS, VALID_WINDOWS, Counted

_RING = max(BAD_WINDOWS) // SLICE
_GROW = 64


@dataclass(slots=True)
class _Hours:
    """A tenant's slices by state, hour by hour, over the period."""

    hours: deque[tuple[int, npt.NDArray[np.int64]]] = field(default_factory=deque)
    sums: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(4, dtype=np.int64))

    def add(self, hour: int, counted: npt.NDArray[np.int64]) -> None:
        if not self.hours or self.hours[-1][0] != hour:
            self.hours.append((hour, np.zeros(4, dtype=np.int64)))
        self.hours[-1][1][:] += counted
        self.sums += counted

    def forget(self, oldest: int) -> None:
        """Drop the hours before `oldest`."""
        while self.hours and self.hours[0][0] < oldest:
            self.sums -= self.hours.popleft()[1]


class Live:
    """One SLO, live. For one thread; minutes are pushed in order of time."""

    def __init__(self, spec: PartitionSLO) -> None:
        self.spec = spec
        self.at = 0  # Unix seconds of the last minute; 0 before the first
        self._entities: list[Entity | None] = []
        self._facts: list[Facts] = []
        self._place: dict[Entity, int] = {}
        self._ring: States = np.zeros((0, _RING), dtype=np.uint8)
        self._seen: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)  # Unix seconds of the last measured slice
        self._bad = {window: np.zeros(0, dtype=np.int32) for window in BAD_WINDOWS}
        self._valid = {window: np.zeros(0, dtype=np.int32) for window in VALID_WINDOWS}
        self._tenants: dict[budget.Tenant, _Hours] = {}
        self._machine = Machine()

    @property
    def partitions(self) -> int:
        """How many partitions had a slice within three days."""
        return len(self._place)

    def entities(self) -> tuple[Entity, ...]:
        """Return those partitions."""
        return tuple(self._place)

    def replay(self, page: Slices) -> None:
        """Push a page of history; alerts do not fire of it. Minutes that were already pushed are passed over."""
        for column in range(page.minutes):
            at = page.first + column * SLICE
            if at > self.at:
                self._push(at, page.entities, page.facts, page.states[:, column])

    def advance(self, at: int, page: Slices) -> tuple[Firing, ...]:
        """Push the minute that ends at `at`, the only one of the page, and return what fires. Gaps are unknown."""
        if at > self.at:
            self._push(at, page.entities, page.facts, page.states[:, 0])
        keep = self.spec.alerting.keep_firing_for
        return self._machine.advance(at, [(one, keep) for one in self._raised()])

    def budgets(self) -> dict[budget.Tenant, Budget]:
        """Return the tenants' budgets over the period, to the hour."""
        found = {}
        for tenant, hours in self._tenants.items():
            objective = self.spec.objective(tenant.klass)
            if objective is not None:
                found[tenant] = budget.budget(objective, hours.sums)
        return found

    # --- a minute ---------------------------------------------------------------------------------------------------------

    def _push(self, at: int, entities: Sequence[Entity], facts: Sequence[Facts], states: States) -> None:
        if self.at and (at - self.at) // SLICE > _RING:
            self._clear()
        else:
            for skipped in range(self.at + SLICE if self.at else at, at, SLICE):
                self._write(skipped, np.zeros(len(self._entities), dtype=np.uint8))
        rows = self._rows_of(entities, facts, states)
        column = np.zeros(len(self._entities), dtype=np.uint8)
        known = rows >= 0
        column[rows[known]] = states[known]
        self._write(at, column)
        self._count(at, column)
        self.at = at
        if at % HOUR < SLICE:
            self._recycle(at)

    def _rows_of(self, entities: Sequence[Entity], facts: Sequence[Facts], states: States) -> npt.NDArray[np.intp]:
        """The ring's row of each entity; -1 for one that has never had a measured slice."""
        found = np.full(len(entities), -1, dtype=np.intp)
        for number, who in enumerate(entities):
            row = self._place.get(who)
            if row is None and states[number] != UNKNOWN:
                row = self._place[who] = self._free_row()
                self._entities[row] = who
            if row is not None:
                found[number] = row
                self._facts[row] = facts[number]
        return found

    def _free_row(self) -> int:
        if len(self._place) < len(self._entities):
            return self._entities.index(None)
        first = len(self._entities)
        more = max(_GROW, first)
        self._entities += [None] * more
        self._facts += [Facts()] * more
        self._ring = np.concatenate([self._ring, np.zeros((more, _RING), dtype=np.uint8)])
        self._seen = np.concatenate([self._seen, np.zeros(more, dtype=np.int64)])
        for counts in (self._bad, self._valid):
            for window in counts:
                counts[window] = np.concatenate([counts[window], np.zeros(more, dtype=np.int32)])
        return first

    def _write(self, at: int, column: States) -> None:
        """Put a column into the ring, and keep the counts: it enters every window, and one leaves each."""
        place = at // SLICE
        for counts, least in ((self._bad, BAD), (self._valid, GOOD)):
            entering = column >= least
            for window in counts:
                counts[window] += entering
                counts[window] -= self._ring[:, (place - window // SLICE) % _RING] >= least
        self._ring[:, place % _RING] = column

    def _count(self, at: int, column: States) -> None:
        """Add the minute to the tenants' budgets. A gap counts as unknown once its partition is measured again."""
        hour = at // HOUR
        measured = np.flatnonzero(column >= IDLE)
        sums: dict[budget.Tenant, npt.NDArray[np.int64]] = {}
        for row in measured.tolist():
            who = self._entities[row]
            if who is not None:
                whose = budget.tenant(self.spec, who, self._facts[row])
                counted = sums.setdefault(whose, np.zeros(4, dtype=np.int64))
                counted[column[row]] += 1
                if self._seen[row]:
                    counted[UNKNOWN] += (at - int(self._seen[row])) // SLICE - 1
        self._seen[measured] = at
        for whose, counted in sums.items():
            self._tenants.setdefault(whose, _Hours()).add(hour, counted)
        oldest = hour - self.spec.period // HOUR
        for hours in self._tenants.values():
            hours.forget(oldest)

    def _recycle(self, at: int) -> None:
        """Free the rows of partitions that left the ring."""
        gone = (self._seen > 0) & (self._seen <= at - _RING * SLICE)
        for row in np.flatnonzero(gone).tolist():
            who = self._entities[row]
            if who is not None:
                del self._place[who]
            self._entities[row] = None
            self._seen[row] = 0
        self._tenants = {whose: hours for whose, hours in self._tenants.items() if hours.hours}

    def _clear(self) -> None:
        """Forget the ring: the gap is longer than it."""
        self._ring[:] = UNKNOWN
        for counts in (self._bad, self._valid):
            for counted in counts.values():
                counted[:] = 0

    # --- what holds now ---------------------------------------------------------------------------------------------------

    def bad(self, window: int) -> Counted:
        """Return the bad slices of each row's last `window` seconds."""
        return self._bad[window]

    def valid(self, window: int) -> Counted:
        """Return the valid slices of each row's last `window` seconds."""
        return self._valid[window]

    def _raised(self) -> list[Raised]:
        rows = np.flatnonzero(self._bad[max(BAD_WINDOWS)])
        table = self._table(rows)
        raised, paging = table.partitions(_Picked(self, rows))
        pages = np.zeros(len(self._entities), dtype=bool)
        pages[rows] = paging
        if pages.sum() > 1:
            raised += self._above(pages)
        for whose, hours in self._tenants.items():
            bad, valid = hours.sums[BAD], hours.sums[GOOD] + hours.sums[BAD]
            raised += budget.raised(self.spec, whose, np.array(bad, dtype=np.int32), np.array(valid, dtype=np.int32))
        return raised

    def _above(self, pages: Flags) -> list[Raised]:
        rows = np.array(sorted(self._place.values()), dtype=np.intp)
        table, last_hour = self._table(rows), self._bad[HOUR][rows]
        paging, used = pages[rows], self._valid[HOUR][rows] > 0
        sites = table.sites()
        return [
            *table.wider(paging, used, last_hour),
            *table.fleet(sites, sites.count(paging), sites.count(used), sites.count(last_hour)),
        ]

    def _table(self, rows: npt.NDArray[np.intp]) -> Burning:
        chosen = [(self._entities[row], self._facts[row]) for row in rows.tolist()]
        return Burning(
            self.spec, tuple(who for who, _ in chosen if who is not None), tuple(known for _, known in chosen)
        )


@dataclass(frozen=True, slots=True)
class _Picked:
    """The counts of some rows."""

    live: Live
    rows: npt.NDArray[np.intp]

    def bad(self, window: int) -> Counted:
        return self.live.bad(window)[self.rows]

    def valid(self, window: int) -> Counted:
        return self.live.valid(window)[self.rows]


def budgets_by_objective(lives: Mapping[str, Live]) -> dict[tuple[str, str], Budget]:
    """Return the budget of every SLO's objectives, by the names of both."""
    found: dict[tuple[str, str], Budget] = {}
    for name, live in lives.items():
        for tenant, part in live.budgets().items():
            objective = live.spec.objective(tenant.klass)
            if objective is not None:
                key = (name, objective.name)
                before = found.get(key, Budget(part.target, 0, 0, 0, 0))
                found[key] = Budget(
                    part.target,
                    before.good + part.good,
                    before.bad + part.bad,
                    before.idle + part.idle,
                    before.unknown + part.unknown,
                )
    return found
