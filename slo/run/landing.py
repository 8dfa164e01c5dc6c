"""The page at `/`: what fires, how the budgets are, and whether everything around answers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape

from slo.run.status import Status

_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "table{border-collapse:collapse}td,th{padding:.2rem 1rem .2rem 0;text-align:left;vertical-align:top}"
    ".bad{color:#b00}@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}a{color:#8bf}.bad{color:#f77}}"
)
_LINKS = (
    ("metrics", "what Prometheus scrapes"),
    ("snapshot", "budgets and alerts as JSON"),
    ("-/healthy", "whether evaluations are still being made"),
    ("-/ready", "whether a first one was made"),
)
_MOST_ROWS = 100


def render(status: Status) -> str:
    """Return the page as HTML. Links are relative, so that it works behind a proxy's path."""
    links = "".join(f'<li><a href="{path}">/{path}</a>: {escape(meaning)}</li>' for path, meaning in _LINKS)
    return (
        '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>slicewatch slo</title><style>{_STYLE}</style></head><body>"
        f"<h1>slicewatch slo</h1><p>{_headline(status)}</p>{_firing(status)}{_budgets(status)}{_around(status)}"
        f"<ul>{links}</ul></body></html>\n"
    )


def _headline(status: Status) -> str:
    if not status.at:
        return "No evaluation yet."
    when = f"{_clock(status.at)}: {status.partitions} partitions evaluated in {status.took:.2f} s."
    return f'{when} <span class="bad">{escape(status.error)}</span>' if status.error else when


def _firing(status: Status) -> str:
    rows = [
        (
            one.alert.severity.value,
            one.alert.name.value,
            one.alert.slo,
            " ".join(
                f"{name}={one.alert.labels[name]}"
                for name in ("node", "gpu", "namespace", "pod")
                if one.alert.labels.get(name)
            ),
            _clock(one.since),
        )
        for one in status.firing
    ]
    return (
        _table("Alerts that fire", ("severity", "alert", "SLO", "about", "since"), rows)
        if rows
        else "<p>No alert fires.</p>"
    )


def _budgets(status: Status) -> str:
    worst = sorted(status.budgets, key=lambda row: 1.0 if row.budget.remaining is None else row.budget.remaining)
    rows = [
        (
            row.slo,
            row.objective,
            row.namespace or "all",
            f"{row.budget.target:.3%}",
            "no valid slice" if row.budget.compliance is None else f"{row.budget.compliance:.3%}",
            "" if row.budget.remaining is None else f"{row.budget.remaining:.1%}",
        )
        for row in worst
    ]
    return _table("Budgets", ("SLO", "objective", "namespace", "target", "kept", "budget left"), rows) if rows else ""


def _around(status: Status) -> str:
    rows = [
        *((target.url, "up" if target.up else "down", target.error) for target in status.targets),
        *((peer.url, "up" if peer.up else "down", peer.error) for peer in status.peers),
    ]
    if status.journal:
        rows.append(("journal", "down", status.journal))
    if status.history:
        rows.append(("history", "down", status.history))
    return _table("Around", ("address", "state", ""), rows) if rows else ""


def _table(title: str, head: Sequence[str], rows: Sequence[Iterable[str]]) -> str:
    more = f"<p>{len(rows) - _MOST_ROWS} more are in /snapshot.</p>" if len(rows) > _MOST_ROWS else ""
    cells = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>" for row in rows[:_MOST_ROWS])
    titles = "".join(f"<th>{escape(cell)}</th>" for cell in head)
    return f"<h2>{escape(title)}</h2><table><tr>{titles}</tr>{cells}</table>{more}"


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
