"""A dashboard's JSON as data: its panels, queries and variables, and what Grafana puts in for the variables."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BUILT_IN = {
    "__rate_interval": "2m",
    "__interval": "5m",
    "__range": "3h",
    "__url_time_range": "",
    "__data": "",
    "__all": "",
}
"""Grafana's own, at the step and range that the scene is asked with."""

_VARIABLE = re.compile(r"\$\{(\w+)(?:[.:][\w.]+)?\}|\$(\w+)")

Board = Mapping[str, Any]


def boards() -> dict[str, Board]:
    """Every committed dashboard by its file's name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((ROOT / "dashboards" / "json").glob("*.json"))}


def panels(board: Board) -> list[Any]:
    """Panels in their order, without rows."""
    return [panel for panel in board["panels"] if panel["type"] != "row"]


def targets(board: Board) -> Iterator[tuple[Any, Any]]:
    """Each panel with each of its queries."""
    for panel in panels(board):
        for target in panel.get("targets", ()):
            yield panel, target


def variables(text: str) -> set[str]:
    """Names of the variables in a text."""
    return {first or second for first, second in _VARIABLE.findall(text)}


def filled(text: str, chosen: Mapping[str, str]) -> str:
    """Put values in; raises KeyError for a variable that nobody defines."""
    known = {**BUILT_IN, **chosen}
    return _VARIABLE.sub(lambda found: known[found[1] or found[2]], text)


def everything(board: Board) -> dict[str, str]:
    """What each variable is when nothing was chosen."""
    found = {}
    for each in board["templating"]["list"]:
        found[each["name"]] = each["current"]["value"] if each["type"] == "custom" else each.get("allValue") or ".*"
    return found


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
