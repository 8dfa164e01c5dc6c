"""What an alert says: promised, got, since when, cause, who, the command to run next, the runbook, the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from slo.burnrate import Threshold
from slo.rules import evidence
from slo.rules.gotext import encoded, label, literal
from slo.rules.promql import age, duration, number, partition
from slo.rules.rollups import gpu_labels, node_labels
from slo.spec import Objective, PartitionSLO, Subject
from slo.verdicts import AlertName

RUNBOOKS = "docs/runbooks/{alert}.md"
"""Where runbooks are unless the user says: pages of this project, relative, because no server of the user's is known."""

_COUNT = '{{ $value | printf "%.0f" }}'
_LAST = {"fast": "hour", "slow": "day"}
_GOODS = {
    "availability": "a working device",
    "conformance": "the configuration promised",
    "memory": "the memory promised",
    "compute": "the compute promised",
    "isolation": "the isolation promised",
}


@dataclass(frozen=True, slots=True)
class Links:
    """Where alerts point to; without `dashboard` no link."""

    runbooks: str = RUNBOOKS
    dashboard: str = ""

    def runbook(self, name: str) -> str:
        """Return an alert's runbook: its name stands for `{alert}`; else it is put behind, in lower case."""
        if "{alert}" in self.runbooks:
            return self.runbooks.replace("{alert}", name)
        return self.runbooks + name.lower()


def burn(spec: PartitionSLO, objective: Objective, pairs: Sequence[Threshold], links: Links) -> dict[str, str]:
    """Return the annotations of a partition's burn alert."""
    name = pairs[0].burn.name
    fires = " or ".join(
        f"more than {number(pair.long_above)} bad minutes in {duration(pair.burn.long)} "
        f"and {number(pair.short_above)} in {duration(pair.burn.short)}"
        for pair in pairs
    )
    summary = f"{_pod()} {_fails(spec)} in {_COUNT} min of the last {_LAST[name]}."
    return _of_partition(spec, objective, AlertName.PARTITION, links, (summary, name, fires))


def unmet(spec: PartitionSLO, objective: Objective, links: Links) -> dict[str, str]:
    """Return the annotations of the ticket for a partition that is rarely used and mostly starved."""
    summary = f"{_pod()} {_fails(spec)} in {_COUNT} min of the last day, most of those that it wanted."
    fires = "too rarely used to burn a budget, and starved for most of its use"
    return _of_partition(spec, objective, AlertName.UNMET, links, (summary, "slow", fires))


def gpu(spec: PartitionSLO, links: Links) -> dict[str, str]:
    """Return the annotations of a GPU's alert."""
    own = gpu_labels(spec)
    lines = [
        f"{_COUNT} partitions of GPU {label('gpu')} on node {label('node')}: each {_fails(spec)}.",
        _meant(spec),
        f"{evidence.prepare((*spec.group_by, 'gpu'))}Cause: {evidence.cause(spec)}",
        "Why it fires: at least two partitions of the GPU page, and at least half of those used in the last hour",
    ]
    return _annotations(spec, AlertName.GPU, lines, links, own)


def node(spec: PartitionSLO, links: Links) -> dict[str, str]:
    """Return the annotations of a node's alert."""
    lines = [
        f"{_COUNT} GPUs of node {label('node')}: on each, most partitions page. A partition there {_fails(spec)}.",
        _meant(spec),
        "Why it fires: at least two GPUs of the node are in trouble as a whole",
    ]
    return _annotations(spec, AlertName.NODE, lines, links, node_labels(spec))


def fleet(spec: PartitionSLO, links: Links) -> dict[str, str]:
    """Return the annotations of the fleet's alert."""
    lines = [
        f"{_COUNT} partitions of the fleet: each {_fails(spec)}.",
        _meant(spec),
        f"{evidence.prepare(spec.group_by)}Cause: {evidence.cause(spec)}",
        "Why it fires: at least ten partitions page, and at least a tenth of those used in the last hour",
    ]
    return _annotations(spec, AlertName.FLEET, lines, links, spec.group_by)


def tenant(spec: PartitionSLO, objective: Objective, links: Links) -> dict[str, str]:
    """Return the annotations of a namespace's alert."""
    lines = [
        f"Namespace {label('namespace')} has spent its {age(spec.period)} budget: too often a partition {_fails(spec)}.",
        _meant(spec),
        f"Promised: {_target(objective)} of the wanted minutes of its partitions of class {label('class')} together",
        "Left: {{ $value | humanizePercentage }} of the budget",
    ]
    return _annotations(spec, AlertName.TENANT, lines, links, (*spec.group_by, "namespace"))


def telemetry(links: Links) -> dict[str, str]:
    """Return the annotations of the alert for a node whose partitions are measured no longer."""
    summary = f"{_COUNT} partitions of node {label('node')} are not measured."
    lines = [
        summary,
        "The exporter of the node has been down or gone for 10 minutes, and had partitions when it was last seen.",
        "Nothing is known of their promises: no minute is good or bad, and no burn alert can fire for them.",
    ]
    return _texts(lines) | {"runbook_url": _runbook(AlertName.TELEMETRY, links)}


def watchdog(links: Links) -> dict[str, str]:
    """Return the annotations of the alert that always fires."""
    lines = [
        "SLO rules are evaluated, and their alerts arrive.",
        "It always fires: route it to what complains if it stops.",
    ]
    return _texts(lines) | {"runbook_url": _runbook(AlertName.WATCHDOG, links)}


def _of_partition(
    spec: PartitionSLO, objective: Objective, name: AlertName, links: Links, told: tuple[str, str, str]
) -> dict[str, str]:
    """Return the annotations of one partition's alert; `told` is the summary, whose past (fast, slow), why it fires."""
    summary, past, fires = told
    got, neighbour = evidence.got(spec), evidence.neighbour(spec)
    lines = [
        summary,
        _meant(spec),
        f"{evidence.prepare(partition(spec))}Promised: {_promise(spec, objective)}",
        *([f"Got: {got}"] if got else []),
        f"Since: {evidence.since(spec, past)}",
        f"Cause: {evidence.cause(spec)}",
        *([f"Neighbour: {neighbour}"] if neighbour else []),
        f"Where: node {label('node')}, GPU {label('gpu')}, device {label('device')}, {label('sharing')}",
        f"Why it fires: {fires}",
    ]
    found = _annotations(spec, name, lines, links, (*gpu_labels(spec), "namespace", "pod"))
    return found | {"command": f"slicewatch why {_pod()}"}


def _annotations(
    spec: PartitionSLO, name: AlertName, lines: Sequence[str], links: Links, about: Sequence[str]
) -> dict[str, str]:
    """Put together what every alert of an SLO has; `about` are the labels that a dashboard is opened with."""
    found = _texts(lines) | {"runbook_url": literal(spec.alerting.runbook_url) or _runbook(name, links)}
    dashboard = spec.alerting.dashboard_url or links.dashboard
    if dashboard:
        chosen = [f"var-slo={spec.name}", *(f"var-{one}={encoded(one)}" for one in about)]
        found["dashboard"] = literal(dashboard) + ("&" if "?" in dashboard else "?") + "&".join(chosen)
    return found


def _texts(lines: Sequence[str]) -> dict[str, str]:
    return {"summary": lines[0], "description": "\n".join(line for line in lines if line)}


def _runbook(name: AlertName, links: Links) -> str:
    return literal(links.runbook(name))


def _pod() -> str:
    return f"{label('namespace')}/{label('pod')}"


def _fails(spec: PartitionSLO) -> str:
    if spec.sli.subject is Subject.COVERAGE:
        return f"could not be watched over ({spec.sli.guarantee})"
    return f"did not get {_GOODS[spec.sli.guarantee]}"


def _meant(spec: PartitionSLO) -> str:
    said = spec.description or spec.display_name
    return f"Objective: {literal(said.strip())}" if said else ""


def _promise(spec: PartitionSLO, objective: Objective) -> str:
    quantity = evidence.promised(spec)
    when = "of its minutes" if spec.sli.subject is Subject.COVERAGE else "of the minutes in which it wants it"
    return f"{quantity}{', ' if quantity else ''}{_target(objective)} {when}, promise class {label('class')}"


def _target(objective: Objective) -> str:
    return f"{number(objective.target * 100)} %"
