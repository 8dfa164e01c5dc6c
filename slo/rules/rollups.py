"""From partitions to GPUs, nodes and the fleet: where many burn for one reason, one page says so."""

from __future__ import annotations

from slo.burnrate import (
    FLEET_PARTITIONS,
    FLEET_SHARE,
    GPU_PARTITIONS,
    GPU_SHARE,
    HOUR,
    NODE_GPUS,
)
from slo.rules.model import Record
from slo.rules.promql import names, partition, quoted, selector, window
from slo.rules.slices import VALID, static
from slo.rules.windows import BURNING, pages
from slo.spec import PartitionSLO, Severity

GPU_VALID = "gpu:gpu_slo_valid_partitions:count1h"
GPU_WIDE = "gpu:gpu_slo_burning_partitions:count"
NODE_WIDE = "node:gpu_slo_burning_gpus:count"
FLEET_WIDE = "fleet:gpu_slo_burning_partitions:count"


def gpu_labels(spec: PartitionSLO) -> tuple[str, ...]:
    """Return the labels of a GPU: the site's, its node, itself."""
    return (*spec.group_by, "node", "gpu")


def node_labels(spec: PartitionSLO) -> tuple[str, ...]:
    """Return the labels of a node: the site's, and itself."""
    return (*spec.group_by, "node")


def records(spec: PartitionSLO) -> tuple[Record, ...]:
    """Return the rules that record what burns as a whole; none when nothing of the SLO pages."""
    if not pages(spec):
        return ()
    slo = f"slo={quoted(spec.name)}"
    each = names((*node_labels(spec), *partition(spec)))
    gpu, site = names(gpu_labels(spec)), names(spec.group_by)
    used = f"max by {each} (count_over_time({selector(VALID, slo)}{window(HOUR)}))"
    burning = f"max by {each} ({selector(BURNING, slo, f'severity={quoted(Severity.PAGE)}')})"
    wide = (
        f"count by {gpu} ({burning}) >= {GPU_PARTITIONS}\n>= {GPU_SHARE:g} *\nsum by {gpu} ({selector(GPU_VALID, slo)})"
    )
    all_over = (
        f"count by {site} ({burning}) >= {FLEET_PARTITIONS}\n"
        f">= {FLEET_SHARE:g} *\nsum by {site} ({selector(GPU_VALID, slo)})"
    )
    return tuple(
        Record(name, expression, static(spec))
        for name, expression in (
            (GPU_VALID, f"count by {gpu} ({used})"),
            (GPU_WIDE, wide),
            (NODE_WIDE, f"count by {names(node_labels(spec))} ({selector(GPU_WIDE, slo)}) >= {NODE_GPUS}"),
            (FLEET_WIDE, all_over),
        )
    )
