"""What stands around the panels of every dashboard: the choice of a place, links to another, marks of what happened."""

from __future__ import annotations

from typing import Any

from dashboards import house
from dashboards.promql import before, by, combined, series, wrapped
from dashboards.vocabulary import ALERTS, CLUSTER
from exporter.catalogue import DEVICE_INFO, PARTITION_INFO

NODE = f"/d/slicewatch-node?{house.CARRIED}&var-node=${{__data.fields.Node}}"
TENANT = (
    f"/d/slicewatch-tenant?{house.CARRIED}&var-namespace=${{__data.fields.Namespace}}&var-pod=${{__data.fields.Pod}}"
)
"""Where a table's row leads."""


def place() -> tuple[Any, ...]:
    """The variables: data source, cluster, node, namespace, pod. Each narrows the next."""
    info = PARTITION_INFO.name
    here = f"{info}{{{CLUSTER}}}"
    on_node = f'{info}{{{CLUSTER}, node=~"$node"}}'
    in_namespace = f'{info}{{{CLUSTER}, node=~"$node", namespace=~"$namespace"}}'
    return (
        house.source(),
        house.choice("cluster", "Cluster", f"label_values({info}, cluster)"),
        house.choice("node", "Node", f"label_values({here}, node)"),
        house.choice("namespace", "Namespace", f"label_values({on_node}, namespace)"),
        house.choice("pod", "Pod", f"label_values({in_namespace}, pod)"),
    )


def alerts() -> Any:
    """Marks where an alert of an objective began: what lasts would be a stretch, and a few of them hide what they lie on."""
    firing = series(ALERTS, 'alertname=~"GPU.*"', 'alertname!="GPUSLOWatchdog"', 'alertstate="firing"')
    labels = ("alertname", "severity", "slo", "namespace", "pod", "gpu")
    shown = combined(by("max", firing, *labels), "unless", by("max", before(firing, "1m"), *labels), on=labels)
    return house.annotation(
        "Alerts", shown, "red", "{{alertname}}", "{{severity}} {{slo}} {{namespace}}/{{pod}} {{gpu}}"
    )


def reshaped() -> Any:
    """Marks where MIG instances were made on a GPU that was seen a minute before."""
    now = series(DEVICE_INFO, CLUSTER, 'kind="mig"')
    made = combined(
        by("count", now, "cluster", "gpu", "device", "profile", "node"),
        "unless",
        by("count", before(now, "1m"), "cluster", "gpu", "device"),
        on=("cluster", "gpu", "device"),
    )
    known = by("count", before(series(DEVICE_INFO, CLUSTER), "1m"), "cluster", "gpu")
    shown = combined(wrapped(made), "and", known, on=("cluster", "gpu"))
    return house.annotation(
        "MIG reconfigurations", shown, "orange", "MIG instance made", "{{profile}} on {{gpu}}, node {{node}}"
    )
