"""A report as a page of HTML that needs nothing else, or as Markdown with its plots in files beside it.

Names of pods and namespaces are tenants' input: HTML is escaped by the template engine, Markdown's tables by `_cell`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from slo.report.figures import Report
from slo.report.plots import burn_down, gpu_hours

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}


@dataclass(frozen=True, slots=True)
class Money:
    """What a GPU-hour costs; a rate of nothing is not asked about."""

    rate: float
    currency: str


def html(report: Report, money: Money, now: float) -> str:
    """Write one self-contained page. `now` (Unix seconds) is when it was made."""
    plots = [(one, burn_down(one)) for one in report.burns]
    hours = gpu_hours(report.gpu_hours) if sum(report.gpu_hours.values()) > 0 else ""
    return _render("report.html.j2", report, money, now, plots=plots, hours=hours)


def markdown(report: Report, money: Money, now: float, stem: str) -> dict[str, str]:
    """Return files by name: `stem`.md, and an SVG for each plot."""
    files: dict[str, str] = {}
    plots = []
    for one in report.burns:
        name = f"{stem}-{one.slo}-{one.objective}.svg".replace(" ", "-")
        files[name] = burn_down(one)
        plots.append((one, name))
    hours = ""
    if sum(report.gpu_hours.values()) > 0:
        hours = f"{stem}-gpu-hours.svg"
        files[hours] = gpu_hours(report.gpu_hours)
    return {f"{stem}.md": _render("report.md.j2", report, money, now, plots=plots, hours=hours), **files}


def _render(name: str, report: Report, money: Money, now: float, **more: Any) -> str:
    environment = Environment(
        loader=PackageLoader("slo.report"),
        autoescape=name.endswith(".html.j2"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"clock": _clock, "percent": _percent, "hours": _hours, "cell": _cell}
    return environment.get_template(name).render(report=report, money=money, now=now, **more)


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _percent(ratio: float | None, digits: int = 1) -> str:
    return "–" if ratio is None else f"{ratio:.{digits}%}"


def _hours(number: float) -> str:
    return f"{number:,.1f}"


def _cell(text: object) -> str:
    """Text that stays in its cell of a Markdown table, and is no markup."""
    plain = "".join(char if char.isprintable() else "�" for char in str(text))
    return "".join(_ENTITIES.get(char) or (f"\\{char}" if char in "\\`*_{}[]()#+!|~" else char) for char in plain)
