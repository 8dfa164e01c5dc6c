"""An alert on its way to Alertmanager, and what is known of it since it first went."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

Key = tuple[tuple[str, str], ...]
"""An alert's identity: its labels, sorted, without empty ones."""


def identity(labels: Mapping[str, str]) -> Key:
    """Return the identity of a label set. Alertmanager drops labels with an empty value (api/v2), so they are none."""
    return tuple(sorted((name, value) for name, value in labels.items() if value))


@dataclass(frozen=True, slots=True)
class Notice:
    """What Alertmanager is told while an alert fires. Times are Unix seconds."""

    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    since: int

    @property
    def key(self) -> Key:
        """The alert's identity."""
        return identity(self.labels)


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of an alert: how it was last described, when it began, and when it ended if it has."""

    key: Key
    annotations: Mapping[str, str]
    starts_at: int
    ended_at: int | None = None

    @property
    def active(self) -> bool:
        """Whether it still fires, as far as is known."""
        return self.ended_at is None


@dataclass(frozen=True, slots=True)
class Accepted:
    """A peer took an alert at `at` (Unix seconds), as firing or as resolved."""

    at: float
    resolved: bool


@dataclass(frozen=True, slots=True)
class Known:
    """All that is remembered: alerts by identity, and by peer's address which of them it took."""

    entries: Mapping[Key, Entry] = field(default_factory=dict)
    accepted: Mapping[str, Mapping[Key, Accepted]] = field(default_factory=dict)
