"""Too many alerts: the worst are shown, and one more says how many are not. Pure.

What is shown once stays shown until it ends. To take it back for a worse one would tell people that it is over, which is
not so; and alerts that come and go each round are notifications each round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from slo.alertmanager.notice import Key, Notice, identity
from slo.verdicts import NOT_SHOWN, AlertName, Firing

ALERT: Final = NOT_SHOWN
"""The alert that stands for those that are not shown; one for each severity among them."""

SLO: Final = "not-shown"
"""Its `slo` label: it is of no SLO, and no inhibition by an equal one may meet it."""

SPARED: Final = frozenset({AlertName.FLEET, AlertName.WATCHDOG})
"""Alerts of which there are few, whatever happens: never held back."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """Alerts of a round, in the order in which they matter."""

    shown: tuple[Firing, ...]
    hidden: tuple[Firing, ...]


Kind = tuple[str, str]
"""Alert name and severity: pages and tickets, partitions and nodes do not take each other's places."""


def choose(firings: Sequence[Firing], before: Collection[Key], cap: int) -> Chosen:
    """Choose at most `cap` alerts of each kind: those that were shown `before`, then the worst by bad slices of the hour.

    `before` are the identities that are active. They keep their places also when they are not among `firings`, which is so
    while evaluations are incomplete.
    """
    free: dict[Kind, int] = {}
    held = Counter((dict(key).get("alertname", ""), dict(key).get("severity", "")) for key in before)
    shown, hidden = [], []
    for firing in sorted(firings, key=lambda firing: (-firing.bad_1h, firing.since, firing.alert.key)):
        kind = (firing.alert.labels.get("alertname", ""), firing.alert.labels.get("severity", ""))
        left = free.setdefault(kind, cap - held[kind])
        if firing.alert.name in SPARED or identity(firing.alert.labels) in before:
            shown.append(firing)
        elif left > 0:
            free[kind] = left - 1
            shown.append(firing)
        else:
            hidden.append(firing)
    return Chosen(tuple(shown), tuple(hidden))


def notices(hidden: Iterable[Firing], labels: Mapping[str, str], shown: int, now: int) -> list[Notice]:
    """Return an alert for each severity that has alerts which are not shown; `labels` are those of every such alert."""
    by_severity: dict[str, list[Firing]] = {}
    for firing in hidden:
        by_severity.setdefault(str(firing.alert.severity), []).append(firing)
    return [_notice(severity, held, labels, shown, now) for severity, held in sorted(by_severity.items())]


def _notice(severity: str, hidden: Sequence[Firing], labels: Mapping[str, str], shown: int, now: int) -> Notice:
    names = Counter(str(firing.alert.name) for firing in hidden)
    most = ", ".join(f"{count} {name}" for name, count in sorted(names.items()))
    plural = "alerts are" if len(hidden) > 1 else "alert is"
    annotations = {
        "summary": f"{len(hidden)} more {severity} {plural} not shown ({most})",
        "description": (
            f"Something is wrong in many places at once. The {shown} worst alerts are shown; {len(hidden)} that fire are "
            "not sent, and take the places of those that end. `slicewatch slo check` lists all of them."
        ),
        "command": "slicewatch slo check",
    }
    since = min(firing.since for firing in hidden)
    return Notice({**labels, "alertname": ALERT, "severity": severity, "slo": SLO}, annotations, min(since, now))
