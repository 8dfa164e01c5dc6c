"""Rules put into groups, and written as YAML that a person can read: no anchors, no time stamps, one text for one input."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import yaml

from slo.burnrate import HOUR, MINUTE
from slo.rules import alerts, budget, hourly, rollups, slices, windows
from slo.rules.model import Alert, Group, Record, Rule
from slo.rules.promql import duration
from slo.rules.texts import Links
from slo.spec import PartitionSLO

MOST_RULES = 20
"""Rules in a group at the most: what Mimir's ruler takes by default."""

BUDGET_EVERY = 5 * MINUTE
SHARED = "telemetry"

_HOURLY_NOTE = "Evaluated hourly on purpose: its sums are read over days, never as of now."


def rules(specs: Sequence[PartitionSLO], links: Links | None = None) -> tuple[Group, ...]:
    """Return all groups of the SLOs, in their order, and the one about the watching itself."""
    where = links or Links()
    found = [group for spec in specs for group in of_one(spec, where)]
    return (*found, *shared(specs, where))


def of_one(spec: PartitionSLO, links: Links) -> tuple[Group, ...]:
    """Return one SLO's groups.

    Slices, burns and their alerts are in one group while they fit: a group's rules are evaluated in order at one instant, so
    that an alert sees the slice that ended a moment ago and not the one before.
    """
    minutely: tuple[Rule, ...] = (
        *slices.records(spec),
        *windows.burning(spec),
        *alerts.burns(spec, links),
        *rollups.records(spec),
        *alerts.wider(spec, links),
    )
    notes = tuple(f"Notice: {said}." for said in windows.impossible(spec))
    return (
        *_groups(f"gpu-slo-{spec.name}", MINUTE, minutely, notes),
        *_groups(f"gpu-slo-{spec.name}-hourly", HOUR, hourly.records(spec), (_HOURLY_NOTE,)),
        *_groups(f"gpu-slo-{spec.name}-budget", BUDGET_EVERY, budget.records(spec)),
        *_groups(f"gpu-slo-{spec.name}-tickets", BUDGET_EVERY, alerts.tickets(spec, links)),
    )


def shared(specs: Sequence[PartitionSLO], links: Links) -> tuple[Group, ...]:
    """Return the group that belongs to no SLO; none without specs."""
    return _groups(f"gpu-slo-{SHARED}", MINUTE, alerts.of_the_watching(specs, links)) if specs else ()


def prometheus(groups: Iterable[Group], said: str = "") -> str:
    """Write a Prometheus rule file; vmalert, Mimir's and Thanos's rulers read the same. `said` stands at its top."""
    return f"{comment(said)}groups:\n" + _indented("".join(_group(group) for group in groups))


def operator(groups: Iterable[Group], name: str, said: str = "") -> str:
    """Write a PrometheusRule object for the Prometheus operator, under this name."""
    head = {"apiVersion": "monitoring.coreos.com/v1", "kind": "PrometheusRule", "metadata": {"name": name}}
    body = _indented("groups:\n" + _indented("".join(_group(group) for group in groups)))
    return f"{comment(said)}{dump(head)}spec:\n{body}"


def comment(said: str) -> str:
    """Write text as YAML comments; nothing for an empty one. What cannot be printed is left out."""
    lines = ("".join(char for char in line if char.isprintable()) for line in said.splitlines())
    return "".join(f"# {line}".rstrip() + "\n" for line in lines)


def dump(value: object) -> str:
    """Write YAML in block style: keys in their order, literal blocks for texts of many lines, no anchors, no folding."""
    return yaml.dump(value, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=10**9, default_flow_style=False)


def _groups(name: str, interval: int, found: Sequence[Rule], notes: tuple[str, ...] = ()) -> tuple[Group, ...]:
    """Return rules as groups of at most MOST_RULES, in order; the first has the plain name and the notes."""
    starts = range(0, len(found), MOST_RULES)
    return tuple(
        Group(
            name if not start else f"{name}-{start // MOST_RULES + 1}",
            interval,
            tuple(found[start : start + MOST_RULES]),
            () if start else notes,
        )
        for start in starts
    )


def _group(group: Group) -> str:
    value = {
        "name": group.name,
        "interval": duration(group.interval),
        "rules": [_rule(rule) for rule in group.rules],
    }
    return comment("\n".join(group.notes)) + dump([value])


def _rule(rule: Rule) -> dict[str, Any]:
    match rule:
        case Record():
            return {"record": rule.name, "expr": rule.expression, "labels": dict(rule.labels)}
        case Alert():
            times = {"for": rule.hold, "keep_firing_for": rule.keep}
            return {
                "alert": str(rule.name),
                "expr": rule.expression,
                **{key: duration(seconds) for key, seconds in times.items() if seconds},
                "labels": dict(rule.labels),
                "annotations": dict(rule.annotations),
            }


def _indented(text: str) -> str:
    return "".join(f"  {line}" if line.strip() else line for line in text.splitlines(keepends=True))


class _Plain(yaml.SafeDumper):
    """A dumper without anchors, whose lists are indented below their keys."""

    def ignore_aliases(self, data: object) -> bool:
        """Say that nothing is shared."""
        del data
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:  # noqa: FBT001, FBT002  # PyYAML's
        """Indent lists as well."""
        del indentless
        super().increase_indent(flow, indentless=False)


def _text(dumper: _Plain, value: str) -> yaml.ScalarNode:
    # PyYAML writes some odd texts in ways that it reads back as others: those are quoted.
    style: str | None
    if any(not char.isprintable() and char != "\n" for char in value):
        style = '"'
    else:
        style = "|" if "\n" in value and value == value.strip() else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=style)


_Plain.add_representer(str, _text)
