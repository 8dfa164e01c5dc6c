"""The contract as data: well-formed by itself, and equal to what the project's design says."""

from __future__ import annotations

import re

import pytest

from exporter import catalogue as c
from exporter.catalogue import METRICS, Kind, Metric

LABEL = re.compile(r"[a-z][a-z0-9_]*")
NAMES = [metric.name for metric in METRICS]


def test_every_name_is_there_once() -> None:
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_a_metric_is_well_formed(metric: Metric[tuple[str, ...]]) -> None:
    assert metric.name.startswith(("gpu_", "slicewatch_"))
    assert metric.name.endswith("_total") is (metric.kind is Kind.COUNTER)
    assert metric.help.endswith(".")
    assert all(LABEL.fullmatch(label) for label in metric.label_names)
    assert len(set(metric.label_names)) == len(metric.label_names)
    assert bool(metric.buckets) is (metric.kind is Kind.HISTOGRAM)


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_a_metric_is_in_a_base_unit(metric: Metric[tuple[str, ...]]) -> None:
    base = metric.name.removesuffix("_total")
    units = (
        "_bytes _ratio _hertz _watts _celsius _joules _seconds _info _count _errors _processes _orphans _up _readings"
    )
    assert base.endswith(tuple(units.split()))


IDENTITY = {
    "gpu_device_": ("gpu",),
    "gpu_partition_": ("gpu", "device", "namespace", "pod", "container"),
    "gpu_accounted_": ("gpu",),
}


@pytest.mark.parametrize("metric", METRICS, ids=NAMES)
def test_identity_labels_come_first(metric: Metric[tuple[str, ...]]) -> None:
    for prefix, labels in IDENTITY.items():
        if metric.name.startswith(prefix):
            assert metric.label_names[: len(labels)] == labels


def test_descriptive_labels_stand_on_info_metrics_alone() -> None:
    described = {"node", "model", "driver", "workload", "pod_uid", "resource", "sharing"}
    for metric in METRICS:
        if described & set(metric.label_names):
            assert metric.name.endswith("_info")


def test_the_words_of_the_contract() -> None:
    assert c.GUARANTEES == ("availability", "conformance", "memory", "compute", "isolation")
    assert c.OUTCOMES == ("kept", "broken", "idle", "blind")
