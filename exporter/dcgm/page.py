"""A page of dcgm-exporter as values: one for each field of each GPU and GPU instance, and what became of every line.

Pure and total: whatever the text, there is an answer, and `Counts` adds up. A field that is not in an entry's values is
unknown. Nothing here knows the driver or the kubelet; what their word makes of a page is decided where they meet.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from exporter.dcgm.agreement import Agreed, agree
from exporter.dcgm.fields import Field, Scope
from exporter.dcgm.hints import NOBODY, Hint, hint
from exporter.dcgm.rows import Bad, Entry, Gathered, Identity, Row, Slot, gather
from exporter.dcgm.suspects import NO_SAMPLES, TRUNCATED, Suspect, suspicious

_PROFILE = re.compile(r"(?:[0-9]{1,2}c\.)?[0-9]{1,2}g\.[0-9]{1,4}gb(?:\+[a-z.]{1,16})*", re.ASCII)
_MILLISECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)


class WindowCount(NamedTuple):
    """How many events of a kind were counted in a window of seconds."""

    field: str
    label: tuple[str, str]  # its name and value: ("xid", "94")
    window_seconds: float | None
    value: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """What a page says of one GPU (`gpu_instance` None) or GPU instance, in base units."""

    parent: str
    gpu_instance: int | None
    profile_label: str | None  # as printed, where it looks like one; never a capacity
    model_label: str | None
    values: Mapping[str, float]
    windows: tuple[WindowCount, ...] = ()
    hints: tuple[Hint, ...] = ()
    refused: Mapping[str, str]  # field → why a value of it was not believed


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """What became of the lines that are neither blank nor comments: see `sum`. The last four are counted beside it."""

    lines: int
    stored: int
    bad_lines: int
    ignored: int
    dropped_blank: int
    dropped_implausible: int
    above_one_dropped: int
    collapsed_duplicates: int
    shared_copies: int
    per_owner_rows: int
    conflicting_rows: int
    repaired_lines: int
    above_one: int
    unknown_profile: int
    suspects: int

    @property
    def sum(self) -> int:
        """The lines, counted by what became of them."""
        dropped = self.ignored + self.dropped_blank + self.dropped_implausible + self.above_one_dropped
        copies = self.collapsed_duplicates + self.shared_copies + self.per_owner_rows + self.conflicting_rows
        return self.stored + self.bad_lines + dropped + copies


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A whole page. `devices` are sorted, a GPU before its instances."""

    devices: tuple[DeviceRow, ...]
    counts: Counts
    bad: tuple[Bad, ...]
    suspects: tuple[Suspect, ...]


def parse(body: str) -> Page:
    """Read a page. Never raises."""
    found = gather(body)
    settled = _Settling(found)
    devices = tuple(settled.device(key) for key in sorted(settled.keys, key=_order))
    suspects = [*settled.suspects, *suspicious(devices)]
    if found.truncated:
        suspects.append(Suspect(TRUNCATED))
    if not devices:
        suspects.append(Suspect(NO_SAMPLES))
    return Page(
        devices=devices,
        counts=_counts(found, settled, devices, len(suspects)),
        bad=tuple(found.bad),
        suspects=tuple(suspects),
    )


Key = tuple[str, int | None]


def _order(key: Key) -> tuple[str, int]:
    return key[0], -1 if key[1] is None else key[1]


class _Settling:
    """Makes one value of the rows of each field, entry by entry; then gives what is GPU-wide to the GPU."""

    def __init__(self, found: Gathered) -> None:
        self._entries = found.entries
        self._hints = {
            identity: hint(identity.labels, relabelled=found.relabelled)
            for entry in found.entries.values()
            for identity in entry.identities
        }
        self.suspects: dict[Suspect, None] = {}
        self.agreed = Agreed()
        self.shared_copies = 0
        self.stored = 0
        self._values: dict[Key, dict[str, float]] = {key: {} for key in found.entries}
        self._parts: dict[Key, dict[Hint, dict[str, float]]] = {}
        self._windows: dict[Key, list[WindowCount]] = {}
        self._shared: dict[str, dict[Field, list[float]]] = {}  # by GPU
        for key, entry in found.entries.items():
            self._settle(key, entry)
        self._give_to_parents()
        self.keys = tuple(self._values)

    def _settle(self, key: Key, entry: Entry) -> None:
        values, shared = self._values[key], self._shared.setdefault(key[0], {})
        for named, rows in entry.rows.items():
            value = rows[0][0] if len(rows) == 1 else self._agree(entry, named.key, rows)
            if value is None:
                continue
            if named.scope is Scope.GPU:
                shared.setdefault(named, []).append(value)
            else:
                values[named.key] = value
                self.stored += 1
        for slot, rows in entry.windows.items():
            self._window(entry, slot, rows)
        for name, check in entry.refused.items():
            self.suspects[Suspect(check, key[0], key[1], name)] = None
        if key[1] is None and any(name.startswith("dra_mig_") for each in entry.identities for name in each.labels):
            self.suspects[Suspect("claim_on_whole_row", *key)] = None

    def _agree(self, entry: Entry, name: str, rows: list[Row]) -> float | None:
        key = (entry.uuid, entry.instance)
        answer = agree([(value, self._hints[identity]) for value, identity in rows])
        self.agreed = self.agreed + answer.counted
        for owner, value in answer.parts:
            self._parts.setdefault(key, {}).setdefault(owner, {})[name] = value
        if answer.value is None:
            entry.refused[name] = answer.check
        elif answer.check:
            self.suspects[Suspect(answer.check, *key)] = None
        return answer.value

    def _window(self, entry: Entry, slot: Slot, rows: list[Row]) -> None:
        key = (entry.uuid, entry.instance)
        value = self._agree(entry, slot.field, rows)
        if value is not None:
            seconds = int(slot.window) / 1000 if _MILLISECONDS.fullmatch(slot.window) else None
            self._windows.setdefault(key, []).append(WindowCount(slot.field, slot.label, seconds, value))
            self.stored += 1

    def _give_to_parents(self) -> None:
        """A GPU-wide field on the rows of instances is the parent's: stored once, the largest where copies differ."""
        for uuid, shared in self._shared.items():
            parent = (uuid, None)
            values = self._values.setdefault(parent, {}) if shared else {}
            for named, copies in shared.items():
                values[named.key] = max(copies)
                self.stored += 1
                self.shared_copies += len(copies) - 1
                if len(set(copies)) > 1:
                    self.suspects[Suspect("shared_copies_disagree", *parent, named.key)] = None

    def device(self, key: Key) -> DeviceRow:
        """What was found of one entry; a GPU of which only instances have rows has their model."""
        entry = self._entries.get(key)
        identities = self._of_gpu(key[0]) if entry is None else tuple(entry.identities)
        labels = [identity.labels for identity in identities]
        profiles = (each.get("gpu_i_profile", "") for each in labels)
        return DeviceRow(
            parent=key[0],
            gpu_instance=key[1],
            profile_label=None if key[1] is None else next((one for one in profiles if _PROFILE.fullmatch(one)), None),
            model_label=next((one for each in labels if (one := each.get("modelname", ""))), None),
            values=self._values[key],
            windows=tuple(self._windows.get(key, ())),
            hints=() if entry is None else tuple(self._owners(key, entry)),
            refused={} if entry is None else entry.refused,
        )

    def _of_gpu(self, uuid: str) -> tuple[Identity, ...]:
        return tuple(each for entry in self._entries.values() if entry.uuid == uuid for each in entry.identities)

    def _owners(self, key: Key, entry: Entry) -> Iterator[Hint]:
        parts = self._parts.get(key, {})
        for owner in dict.fromkeys(self._hints[identity] for identity in entry.identities):
            if owner != NOBODY:
                yield replace(owner, values=parts[owner]) if owner in parts else owner


def _counts(found: Gathered, settled: _Settling, devices: tuple[DeviceRow, ...], suspects: int) -> Counts:
    tally, agreed = found.tally, settled.agreed
    return Counts(
        lines=tally.lines,
        stored=settled.stored,
        bad_lines=tally.bad_lines,
        ignored=tally.ignored,
        dropped_blank=tally.dropped_blank,
        dropped_implausible=tally.dropped_implausible,
        above_one_dropped=tally.above_one_dropped,
        collapsed_duplicates=agreed.collapsed,
        shared_copies=settled.shared_copies,
        per_owner_rows=agreed.per_owner,
        conflicting_rows=agreed.conflicting,
        repaired_lines=tally.repaired_lines,
        above_one=tally.above_one,
        unknown_profile=sum(1 for row in devices if row.gpu_instance is not None and row.profile_label is None),
        suspects=suspects,
    )
