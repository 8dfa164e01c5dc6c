"""Dashboards to pictures, and what was drawn in each panel."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from dashboards.render.browser import Job, visit
from dashboards.render.serving import served
from dashboards.render.site import Site

THEMES = ("light", "dark")
SCRAPE_MS = 15_000
"""The scrape interval that Grafana takes for a Prometheus whose data source does not say."""


@dataclass(frozen=True)
class Wish:
    """A dashboard (its JSON as text), the time it is about (seconds of the epoch), and how it is shown.

    `scrape` is the data source's scrape interval in seconds, from which Grafana computes `$__rate_interval`.
    """

    dashboard: str
    png: Path
    start: float
    end: float
    theme: str = "light"
    variables: Mapping[str, Sequence[str]] = field(default_factory=dict)
    width: int = 1600
    scrape: float = SCRAPE_MS / 1000


@dataclass(frozen=True)
class Shown:
    """One panel: `count` of its `unit` (series, values, rows, text) is on the picture; `cut` are texts that do not fit."""

    id: int
    title: str
    kind: str
    count: int
    unit: str
    errors: tuple[str, ...]
    cut: tuple[str, ...]


@dataclass(frozen=True)
class Drawing:
    """A picture and what is on it; `marks` are the hits of each annotation."""

    png: Path
    title: str
    panels: tuple[Shown, ...]
    marks: Mapping[str, int]
    variables: Mapping[str, Sequence[str]]
    errors: tuple[str, ...]

    @property
    def faults(self) -> list[str]:
        """Everything that went wrong, and panels on which nothing is."""
        found = list(self.errors)
        for panel in self.panels:
            found += [f"{panel.title}: {error}" for error in panel.errors]
            if not panel.count:
                found.append(f"{panel.title}: nothing is drawn")
        return found


def draw(site: Site, prometheus: str, wishes: Sequence[Wish]) -> list[Drawing]:
    """Draw each wish with the results of this Prometheus. Raises BrowserError and NotInstalledError."""
    texts = {f"{at}.json": wish.dashboard for at, wish in enumerate(wishes)}
    with served(site.dist, texts, prometheus) as origin:
        jobs = [_job(f"{origin}/?{_question(wish, f'/dashboards/{at}.json')}", wish) for at, wish in enumerate(wishes)]
        visits = visit(site, jobs)
    found = []
    for wish, one in zip(wishes, visits, strict=True):
        outside = tuple(f"it asked for {url}" for url in one.outside)
        found.append(_drawing(wish, one.report or {}, (*one.errors, *outside)))
    return found


def _job(url: str, wish: Wish) -> Job:
    return Job(url, str(wish.png), ready="window.drawing", report="window.drawing.report()", width=wish.width)


def _question(wish: Wish, dashboard: str) -> str:
    asked: list[tuple[str, Any]] = [
        ("dashboard", dashboard),
        ("theme", wish.theme),
        ("from", round(wish.start * 1000)),
        ("to", round(wish.end * 1000)),
        ("width", wish.width),
        ("scrape", round(wish.scrape * 1000)),
    ]
    asked += [(f"var-{name}", value) for name, values in wish.variables.items() for value in values]
    return urlencode(asked)


def _drawing(wish: Wish, report: Mapping[str, Any], errors: tuple[str, ...]) -> Drawing:
    panels = tuple(
        Shown(
            id=one["id"],
            title=one["title"],
            kind=one["kind"],
            count=(one["drawn"] or {}).get("count", 0),
            unit=(one["drawn"] or {}).get("unit", ""),
            errors=tuple(one["errors"]),
            cut=tuple(one["cut"]),
        )
        for one in report.get("panels", ())
    )
    marks = {one["name"]: one["hits"] for one in report.get("annotations", ())}
    title = report.get("title") or json.loads(wish.dashboard).get("title", "")
    own = tuple(report.get("errors", ()))
    return Drawing(wish.png, title, panels, marks, report.get("variables", {}), (*own, *errors))
