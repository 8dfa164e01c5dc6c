"""Alerting rules: for each SLO who is told what, and two that are about the watching itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from slo.burnrate import TENANT_FLOOR
from slo.rules import budget, rollups, texts, windows
from slo.rules.gotext import literal
from slo.rules.model import Alert, Record
from slo.rules.promql import names, partition, quoted, selector
from slo.rules.slices import INFO, static
from slo.rules.texts import Links
from slo.spec import Objective, PartitionSLO, Severity
from slo.verdicts import AlertName

TELEMETRY = "telemetry"
WATCHDOG = "watchdog"
"""What stands in the label `slo` of the alerts that belong to no objective: an alert without it would be inhibited by any
other without it, because Alertmanager takes labels that are missing for equal."""

TELEMETRY_HOLD = 600
NODE_PARTITIONS = "node:gpu_slo_partitions:count"
DEVICES = "gpu_device_info"


def burns(spec: PartitionSLO, links: Links) -> tuple[Alert, ...]:
    """Return the alerts of partitions that burn: one rule for each record of `windows.burning`."""
    found = []
    for objective in spec.objectives:
        for name in windows.SHOWN:
            pairs = windows.possible(spec, objective, name)
            if pairs:
                own = windows.burn_labels(objective, pairs[0])
                slo = f"slo={quoted(spec.name)}"
                chosen = (f"{key}={quoted(value)}" for key, value in own.items() if key != "severity")
                expression = selector(windows.BURNING, slo, *chosen)
                annotations = texts.burn(spec, objective, pairs, links)
                found.append(_kept(spec, AlertName.PARTITION, expression, own, annotations))
    return tuple(found)


def wider(spec: PartitionSLO, links: Links) -> tuple[Alert, ...]:
    """Return the alerts of GPUs, of nodes and of the fleet; none when nothing of the SLO pages."""
    if not windows.pages(spec):
        return ()
    page = {"severity": str(Severity.PAGE)}
    return tuple(
        _kept(spec, name, selector(record, f"slo={quoted(spec.name)}"), page, annotations)
        for name, record, annotations in (
            (AlertName.GPU, rollups.GPU_WIDE, texts.gpu(spec, links)),
            (AlertName.NODE, rollups.NODE_WIDE, texts.node(spec, links)),
            (AlertName.FLEET, rollups.FLEET_WIDE, texts.fleet(spec, links)),
        )
    )


def tickets(spec: PartitionSLO, links: Links) -> tuple[Alert, ...]:
    """Return the tickets that look at a day or at the period: starved when used, and a tenant's budget spent."""
    found = []
    for objective in (one for one in spec.objectives if one.asks):
        own = {"objective": objective.name, "severity": str(Severity.TICKET)}
        unmet = windows.unmet(spec, objective)
        found.append(_kept(spec, AlertName.UNMET, unmet, own, texts.unmet(spec, objective, links)))
        found.append(_kept(spec, AlertName.TENANT, _spent(spec, objective), own, texts.tenant(spec, objective, links)))
    return tuple(found)


def of_the_watching(specs: Sequence[PartitionSLO], links: Links) -> tuple[Record | Alert, ...]:
    """Return the rules that are about no objective: partitions that nobody measures, and the watchdog.

    A node is known to be watched by its devices, which its exporter shows with or without partitions on them. A node that
    had none when it was last seen was drained: nothing is missing.
    """
    site = tuple(dict.fromkeys(label for spec in specs for label in spec.group_by))
    node = names((*site, "node"))
    each = names((*site, "node", *partition(specs[0])[len(specs[0].group_by) :]))
    shown = f"count by {node} (count by {each} ({INFO}))\nor\ncount by {node} ({DEVICES}) * 0"
    missing = f"last_over_time({NODE_PARTITIONS}[1h]) > 0\nunless on {node}\n{NODE_PARTITIONS}"
    ticket = {"severity": str(Severity.TICKET), "slo": TELEMETRY}
    always = {"severity": str(Severity.NONE), "slo": WATCHDOG}
    return (
        Record(NODE_PARTITIONS, shown, {"slo": TELEMETRY}),
        Alert(AlertName.TELEMETRY, missing, ticket, texts.telemetry(links), hold=TELEMETRY_HOLD),
        Alert(AlertName.WATCHDOG, "vector(1)", always, texts.watchdog(links)),
    )


def _spent(spec: PartitionSLO, objective: Objective) -> str:
    own = (f"slo={quoted(spec.name)}", f"objective={quoted(objective.name)}")
    left = selector(budget.remaining_name(spec), *own)
    by = names((*spec.group_by, "namespace", "class"))
    return f"{left} < 0\nand on {by}\n{budget.bad_of_namespaces(spec, objective)} >= {TENANT_FLOOR}"


def _kept(
    spec: PartitionSLO, name: AlertName, expression: str, own: Mapping[str, str], annotations: Mapping[str, str]
) -> Alert:
    """Return an alert that goes on for a while after its cause has ended: windows debounce a start, not an end."""
    return _alert(spec, name, expression, own, annotations, spec.alerting.keep_firing_for)


def _alert(
    spec: PartitionSLO,
    name: AlertName,
    expression: str,
    own: Mapping[str, str],
    annotations: Mapping[str, str],
    keep: int = 0,
) -> Alert:
    """Return an alert with its SLO's labels: the generated ones win, because alerts are inhibited and routed by them."""
    labels = dict(spec.alerting.labels) | static(spec) | dict(own)
    # Prometheus expands templates in an alert's labels; none is meant here.
    return Alert(name, expression, {key: literal(text) for key, text in labels.items()}, annotations, keep=keep)
