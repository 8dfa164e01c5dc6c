"""Alerts in words: labels and annotations for whoever is woken. Pure.

A name in them is a tenant's: it loses all but the characters of Kubernetes names, as in the texts of the rules, so that no
terminal, chat or shell makes anything of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from urllib.parse import urlencode

from slo.alertmanager.answer import Amount, Answer, Cause, Evidence, Missing, Taker
from slo.alertmanager.notice import Notice
from slo.rules.texts import Links
from slo.spec import PartitionSLO, Severity, Subject
from slo.verdicts import AlertName, Firing

WATCHDOG: Final = "watchdog"
"""The watchdog's `slo` label, as the rules have it."""

_GIB: Final = 1024**3
_MINUTE: Final = 60
_HOUR: Final = 3600
_LONGEST: Final = 253  # the longest name of Kubernetes
_CHOSEN: Final = ("node", "gpu", "namespace", "pod")
"""Labels that a dashboard is opened with, beside the site's and the SLO's."""


class Texts:
    """Writes the alerts of some SLOs."""

    def __init__(self, specs: Sequence[PartitionSLO], links: Links) -> None:
        self._specs = {spec.name: spec for spec in specs}
        self._links = links

    def notice(self, firing: Firing, answer: Answer, now: float) -> Notice:
        """Return what Alertmanager is told of an alert that fires."""
        spec = self._specs.get(firing.alert.slo)
        annotations = {
            "summary": _summary(firing, answer, spec),
            "description": _description(firing, answer, spec, now),
            "command": _command(firing),
            "runbook_url": (spec.alerting.runbook_url if spec else "") or self._links.runbook(firing.alert.name),
            "dashboard": self._dashboard(firing, spec),
        }
        written = {name: text for name, text in annotations.items() if text}
        return Notice(dict(firing.alert.labels), written, firing.since)

    def _dashboard(self, firing: Firing, spec: PartitionSLO | None) -> str:
        base = (spec.alerting.dashboard_url if spec else "") or self._links.dashboard
        labels = firing.alert.labels
        chosen = ("slo", *(spec.group_by if spec else ()), *_CHOSEN)
        query = urlencode({f"var-{name}": labels[name] for name in chosen if labels.get(name)})
        return f"{base}{'&' if '?' in base else '?'}{query}" if base else ""


def watchdog(labels: Mapping[str, str], now: int, links: Links) -> Notice:
    """Return the alert that always fires, so that its silence is noticed."""
    annotations = {
        "summary": "The GPU SLO checker evaluates, and reaches this Alertmanager",
        "description": "This alert always fires. Route it to something that calls for help when it stops.",
        "runbook_url": links.runbook(AlertName.WATCHDOG),
    }
    own = {"alertname": str(AlertName.WATCHDOG), "severity": str(Severity.NONE), "slo": WATCHDOG}
    return Notice({**labels, **own}, annotations, now)


def clean(name: str) -> str:
    """Return a tenant's name without the characters that no name in Kubernetes has, and of bounded length."""
    return re.sub(r"[^A-Za-z0-9._/-]", "_", name[:_LONGEST])


def amount(value: Amount) -> str:
    """Write a share of a GPU, or a size."""
    return f"{value.value:.2f}" if value.unit == "share" else f"{value.value / _GIB:.1f} GiB"


def span(seconds: float) -> str:
    """Write seconds in the unit that a person would use."""
    if seconds < 2 * _MINUTE:
        return f"{seconds:.0f} s"
    return f"{seconds / _MINUTE:.0f} min" if seconds <= 3 * _HOUR else f"{seconds / _HOUR:.0f} h"


def clock(at: float, now: float) -> str:
    """Write a time of day, with its date when that is another."""
    then = datetime.fromtimestamp(at, UTC)
    same = then.date() == datetime.fromtimestamp(now, UTC).date()
    return f"{then:%H:%M} UTC" if same else f"{then:%Y-%m-%d %H:%M} UTC"


def _summary(firing: Firing, answer: Answer, spec: PartitionSLO | None) -> str:
    labels = {name: clean(value) for name, value in firing.alert.labels.items()}
    what = (spec.display_name or spec.name) if spec is not None else labels.get("slo", "")
    match firing.alert.name:
        case AlertName.PARTITION | AlertName.UNMET:
            return _partition(labels, answer, spec, unmet=firing.alert.name is AlertName.UNMET)
        case AlertName.GPU:
            return f"{_several(answer)} of {_gpu(labels)} at once: {what}{_because(answer)}"
        case AlertName.NODE:
            return f"{_several(answer)} on several GPUs of node {labels.get('node', '?')} at once: {what}{_because(answer)}"
        case AlertName.FLEET:
            return f"Partitions all over the fleet at once: {what}; {firing.bad_1h} bad minutes in the last hour"
        case AlertName.TENANT:
            whose = f"{labels.get('namespace', '?')}{_class(labels)}"
            return f"The error budget of {whose} is spent: {what}{_because(answer)}"
        case AlertName.TELEMETRY:
            where = f"node {labels['node']}" if "node" in labels else "an exporter"
            return f"Nothing is measured on {where}: whether its partitions get what they were promised cannot be told"
        case AlertName.WATCHDOG:
            return "The GPU SLO checker evaluates"


def _partition(labels: Mapping[str, str], answer: Answer, spec: PartitionSLO | None, *, unmet: bool) -> str:
    who = f"{labels.get('namespace', '?')}/{labels.get('pod', '?')}"
    evidence = answer.evidence
    within = f"in the last {span(answer.window)}"
    rarely = "is rarely used, and mostly starved when it is: it " if unmet else ""
    if spec is not None and spec.sli.subject is Subject.COVERAGE:
        told = (
            "" if isinstance(evidence, Missing) else f": blind for {span(evidence.blind)} {within}{_reason(evidence)}"
        )
        return f"Whether {who} gets what it was promised on {_gpu(labels)} cannot be told{told}"
    if isinstance(answer.promised, Amount):
        got = f" and got {amount(answer.got)} {within}" if isinstance(answer.got, Amount) else ""
        return f"{who} {rarely}was promised {amount(answer.promised)} of {_gpu(labels)}{got}{_because(answer)}"
    guarantee = labels.get("guarantee", "its promise")
    if isinstance(evidence, Missing):
        return f"{who} {rarely}does not get its {guarantee} on {_gpu(labels)}"
    lost = f"for {span(evidence.broken)} of {span(evidence.wanted)} {within}"
    return f"{who} {rarely}was without its {guarantee} on {_gpu(labels)} {lost}{_because(answer)}"


def _because(answer: Answer) -> str:
    """The neighbour if one took it, else the cause."""
    if isinstance(answer.taker, Taker):
        return f"; neighbour {clean(answer.taker.name)} took {_took(answer.taker)}"
    return f"; cause: {clean(answer.cause.name)}" if isinstance(answer.cause, Cause) else ""


def _description(firing: Firing, answer: Answer, spec: PartitionSLO | None, now: float) -> str:
    lines = [f"Fires since {clock(firing.since, now)}."]
    if spec is not None and spec.description:
        lines.append(spec.description.strip())
    lines += [_promise(answer), _cause(answer.cause), _neighbour(answer.taker)] if spec is not None else []
    lines.append(_evidence(answer))
    if answer.partitions > 1 and answer.worst:
        lines.append(f"{answer.partitions} partitions lost something; {clean(answer.worst)} lost most.")
    if firing.bad_1h:
        lines.append(f"Bad minutes in the last hour: {firing.bad_1h}.")
    return "\n".join(line for line in lines if line)


def _promise(answer: Answer) -> str:
    if isinstance(answer.promised, Missing):
        return f"Promised: not told ({answer.promised.why})."
    got = f"not known ({answer.got.why})" if isinstance(answer.got, Missing) else amount(answer.got)
    return f"Promised: {amount(answer.promised)}; got: {got}."


def _cause(cause: Cause | Missing) -> str:
    if isinstance(cause, Missing):
        return f"Cause: not known ({cause.why})."
    return f"Cause of most of the loss ({cause.part:.0%}): {clean(cause.name)}."


def _neighbour(taker: Taker | Missing) -> str:
    if isinstance(taker, Missing):
        return f"Neighbour: not known ({taker.why})."
    return f"Neighbour: {clean(taker.name)}, which took {_took(taker)}."


def _took(taker: Taker) -> str:
    return amount(taker.took) if isinstance(taker.took, Amount) else f"{taker.part:.0%} of what was lost"


def _evidence(answer: Answer) -> str:
    evidence = answer.evidence
    if isinstance(evidence, Missing):
        return f"Evidence: none ({evidence.why})."
    demand = f"; that it wanted GPU time is known from: {clean(evidence.demand)}" if evidence.demand else ""
    judged = f"{span(evidence.broken)} broken of {span(evidence.wanted)} wanted"
    return f"Evidence of the last {span(answer.window)}: {judged}, {span(evidence.blind)} not judged{_reason(evidence)}{demand}."


def _reason(evidence: Evidence) -> str:
    return f" ({clean(evidence.blind_reason)})" if evidence.blind_reason else ""


def _several(answer: Answer) -> str:
    return f"{answer.partitions} partitions" if answer.partitions > 1 else "Several partitions"


def _gpu(labels: Mapping[str, str]) -> str:
    """The device that a partition holds, and where it is."""
    device = labels.get("device") or labels.get("gpu") or "its GPU"
    return f"{device} on {labels['node']}" if labels.get("node") else device


def _class(labels: Mapping[str, str]) -> str:
    return f" (class {labels['class']})" if labels.get("class") else ""


def _command(firing: Firing) -> str:
    labels = firing.alert.labels
    if labels.get("namespace") and labels.get("pod"):
        return f"slicewatch why {clean(labels['namespace'])}/{clean(labels['pod'])}"
    return "slicewatch status"
