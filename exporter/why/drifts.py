"""The drifts of a node, from an exporter's `/snapshot`, and which of them touch one partition.

An exporter that does not tell any yet is not one without any: then nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence

from exporter import driftwords
from exporter.catalogue import PartitionKey
from exporter.drift import Drift, Severity
from exporter.model import Missing
from exporter.why.case import UNTOLD, Touch
from exporter.why.jsontree import Tree


def drifts(document: Tree) -> tuple[Drift, ...] | Missing:
    """Read every drift of the node. Raises SourceError."""
    listed = document.get("drifts")
    return UNTOLD if listed.value is None else tuple(_drift(each) for each in listed.each())


def _drift(told: Tree) -> Drift:
    holder, who = told["holder"], told.get("who")
    return Drift(
        number=int(told["number"].number()),
        name=told["name"].text(),
        severity=told["severity"].word(Severity, Severity.INFO),
        where=told["where"].text(),
        holder=None if holder.value is None else PartitionKey(*(holder[name].text() for name in PartitionKey._fields)),
        count=int(told["count"].number()),
        who=() if who.value is None else tuple(each.text() for each in who.each()),
    )


def touching(found: Sequence[Drift] | Missing, key: PartitionKey, node: str) -> tuple[Touch, ...] | Missing:
    """The drifts that touch a partition, in their order."""
    if isinstance(found, Missing):
        return found
    return tuple(_touch(drift, key, node) for drift in found if driftwords.touches(drift, key))


def _touch(drift: Drift, key: PartitionKey, node: str) -> Touch:
    return Touch(
        number=drift.number,
        name=drift.name,
        severity=drift.severity,
        whose="" if drift.holder == key else driftwords.whose(drift),
        neighbour=drift.holder not in {None, key},
        sentence=driftwords.sentence(drift),
        next=driftwords.step(drift, node, key.gpu),
    )
