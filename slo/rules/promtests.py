"""Tests of the generated rules for `promtool test rules`: each alert fires in its time with its labels, and not before.

promtool ignores the groups' intervals and evaluates all of them each minute. So hourly sums overlap here, which the budgets
do not mind: they are ratios. Labels are checked by ALERTS, because promtool compares annotations as a whole, and those of
burn alerts say what time it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from slo import burnrate
from slo.burnrate import UNMET_FLOOR
from slo.rules import rollups, texts, windows
from slo.rules.document import comment, dump, rules
from slo.rules.promql import partition, quoted
from slo.rules.scenario import Fake, Series, alive, described, device, fake
from slo.rules.slices import static
from slo.rules.texts import Links
from slo.spec import Objective, PartitionSLO, Severity
from slo.verdicts import AlertName

_HEALTHY = 3
"""Neighbours on the GPU that keep their promise, so that it is one partition's trouble."""

_WIDE = burnrate.FLEET_PARTITIONS // burnrate.NODE_GPUS
"""Partitions on each of two GPUs of a node, enough for the fleet's alert as well."""

Check = dict[str, Any]


def document(specs: Sequence[PartitionSLO], rules_file: str, said: str = "", links: Links | None = None) -> str:
    """Write promtool's test file for the rules of these SLOs, which are in `rules_file` (relative to the test file)."""
    body = {
        "rule_files": [rules_file],
        "evaluation_interval": "1m",
        "group_eval_order": order(specs),
        "tests": scenarios(specs, links),
    }
    return comment(said) + dump(body)


def order(specs: Sequence[PartitionSLO]) -> list[str]:
    """Return the names of the groups in their order; without it promtool evaluates groups in any."""
    return [group.name for group in rules(specs)]


def scenarios(specs: Sequence[PartitionSLO], links: Links | None = None) -> list[dict[str, Any]]:
    """Return all tests. An objective for which no partition can be thought of has none."""
    found = []
    for spec in specs:
        for objective in spec.objectives:
            found += _of_partition(spec, objective)
            found += _wide(spec, objective)
    return [*found, *_telemetry(specs), *(_watchdog(links or Links()) if specs else [])]


def fires_after(spec: PartitionSLO, objective: Objective, burn: str) -> int | None:
    """Return the bad minutes in a row after which a burn (fast, slow) fires; None when it never does."""
    pairs = windows.possible(spec, objective, burn)
    return min((max(pair.least_bad, int(pair.short_above) + 1) for pair in pairs), default=None)


def _of_partition(spec: PartitionSLO, objective: Objective) -> list[dict[str, Any]]:
    """One partition is in trouble all the time, its neighbours are not."""
    made = [fake(spec, objective, number) for number in range(_HEALTHY + 1)]
    members = [one for one in made if one]
    times = {burn: fires_after(spec, objective, burn) for burn in windows.SHOWN}
    if len(members) != len(made) or not objective.asks:
        return []
    last = max(UNMET_FLOOR, *(at or 0 for at in times.values())) + 10
    victim, *healthy = members
    series = alive(spec, victim, last, 1.0)
    for one in healthy:
        series += alive(spec, one, last, 0.0)
    labels = victim.only(windows.kept_labels(spec))
    checks = []
    for burn, at in times.items():
        if at is not None:
            severity = objective.fast if burn == "fast" else objective.slow
            own = {"burn": burn, "objective": objective.name, "severity": str(severity)}
            checks += _begins(spec, AlertName.PARTITION, at, labels | own, burn=burn)
    own = {"objective": objective.name, "severity": str(Severity.TICKET)}
    checks += _begins(spec, AlertName.UNMET, UNMET_FLOOR, labels | own)
    tenant = victim.only((*spec.group_by, "namespace", "class"))
    checks += [_quiet(spec, AlertName.TENANT, 1)]
    # One of four is always bad: a quarter of the slices, more than any sensible target leaves.
    if 1 - objective.target < 1 / (_HEALTHY + 1):
        checks += [_fires(spec, AlertName.TENANT, last, tenant | own)]
    checks += [_quiet(spec, name, last) for name in (AlertName.GPU, AlertName.NODE, AlertName.FLEET)]
    return [_test(f"{spec.name}, {objective.name}: one partition", series, checks)]


def _wide(spec: PartitionSLO, objective: Objective) -> list[dict[str, Any]]:
    """All partitions of two GPUs of a node are in trouble."""
    made = [fake(spec, objective, number, gpu) for gpu in range(burnrate.NODE_GPUS) for number in range(_WIDE)]
    members = [one for one in made if one]
    different = {tuple(one.only(partition(spec)).values()) for one in members}
    gpus = {one.labels["gpu"]: one for one in members}
    at = _pages_after(spec, objective)
    if at is None or len(different) != len(made) or len(gpus) != burnrate.NODE_GPUS:
        return []
    series: list[Series] = []
    for one in members:
        series += alive(spec, one, at + 1, 1.0)
    page = {"severity": str(Severity.PAGE)}
    checks = [_quiet(spec, name, at - 1) for name in (AlertName.GPU, AlertName.NODE, AlertName.FLEET)]
    checks.append(
        _fires(spec, AlertName.GPU, at, *(one.only(rollups.gpu_labels(spec)) | page for one in gpus.values()))
    )
    checks.append(_fires(spec, AlertName.NODE, at, members[0].only(rollups.node_labels(spec)) | page))
    checks.append(_fires(spec, AlertName.FLEET, at, members[0].only(spec.group_by) | page))
    return [_test(f"{spec.name}, {objective.name}: two GPUs", series, checks)]


def _pages_after(spec: PartitionSLO, objective: Objective) -> int | None:
    severities = {"fast": objective.fast, "slow": objective.slow}
    times = [fires_after(spec, objective, burn) for burn, severity in severities.items() if severity is Severity.PAGE]
    return min((at for at in times if at is not None), default=None)


def _telemetry(specs: Sequence[PartitionSLO]) -> list[dict[str, Any]]:
    """One exporter goes away with a partition on its node, another after its node was drained."""
    site = tuple(dict.fromkeys(label for each in specs for label in each.group_by))
    widest = [replace(spec, group_by=site, select=()) for spec in specs[:1]]
    made = [one for spec in widest if (one := fake(spec, spec.objectives[0], 0))]
    if not made:
        return []
    gone = Fake({**made[0].labels, "node": "node-gone"})
    drained = Fake({**gone.labels, "pod": "drained", "node": "node-drained"})
    series = [
        *described(widest[0], gone, "1+0x9 stale"),
        device(site, "node-gone", "1+0x9 stale"),
        *described(widest[0], drained, "1+0x4 stale"),
        device(site, "node-drained", "1+0x9 stale"),
    ]
    own = dict.fromkeys(site, "test") | {"node": "node-gone"}
    expected = {"alertname": str(AlertName.TELEMETRY), "alertstate": "firing", "slo": "telemetry", "severity": "ticket"}
    checks = [
        _check(AlertName.TELEMETRY, "telemetry", 19, []),
        _check(AlertName.TELEMETRY, "telemetry", 20, [expected | own]),
        _check(AlertName.TELEMETRY, "telemetry", 90, []),
    ]
    return [_test("an exporter that goes away, and one whose node was drained", series, checks)]


def _watchdog(links: Links) -> list[dict[str, Any]]:
    alert = {"exp_labels": {"slo": "watchdog", "severity": "none"}, "exp_annotations": texts.watchdog(links)}
    check = {"eval_time": "1m", "alertname": str(AlertName.WATCHDOG), "exp_alerts": [alert]}
    return [{"name": "the watchdog always fires", "interval": "1m", "input_series": [], "alert_rule_test": [check]}]


def _begins(spec: PartitionSLO, name: AlertName, at: int, labels: Mapping[str, str], **chosen: str) -> list[Check]:
    return [_quiet(spec, name, at - 1, **chosen), _fires(spec, name, at, labels, **chosen)]


def _fires(spec: PartitionSLO, name: AlertName, at: int, *alerts: Mapping[str, str], **chosen: str) -> Check:
    always = dict(spec.alerting.labels) | static(spec) | {"alertname": str(name), "alertstate": "firing"}
    return _check(name, spec.name, at, [always | dict(labels) for labels in alerts], **chosen)


def _quiet(spec: PartitionSLO, name: AlertName, at: int, **chosen: str) -> Check:
    return _check(name, spec.name, at, [], **chosen)


def _check(name: AlertName, slo: str, at: int, expected: Sequence[Mapping[str, str]], **chosen: str) -> Check:
    matchers = {"alertname": str(name), "alertstate": "firing", "slo": slo, **chosen}
    series = ",".join(f"{key}={quoted(value)}" for key, value in matchers.items())
    samples = [{"labels": f"ALERTS{{{_inside(labels)}}}", "value": 1} for labels in expected]
    return {"expr": f"ALERTS{{{series}}}", "eval_time": f"{at}m", "exp_samples": samples}


def _inside(labels: Mapping[str, str]) -> str:
    return ",".join(f"{key}={quoted(value)}" for key, value in sorted(labels.items()) if value)


def _test(name: str, series: Sequence[Series], checks: Sequence[Check]) -> dict[str, Any]:
    return {"name": name, "interval": "1m", "input_series": list(series), "promql_expr_test": list(checks)}
