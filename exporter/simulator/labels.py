"""The node's labels as GPU feature discovery writes them, from the hardware that the scenario describes.

Keys and values follow NVIDIA/k8s-device-plugin internal/lm/resource.go; a node with unlike GPUs is described by its first
one. On GKE they are GKE's (public pages). A scenario's own labels come on top.
"""

from __future__ import annotations

from collections.abc import Mapping

from exporter.simulator.gpus import MIB
from exporter.simulator.spec import GpuSharing, MigStrategy, Scenario

_COMPUTE = {"turing": ("7", "5"), "ampere": ("8", "0"), "ada": ("8", "9"), "hopper": ("9", "0")}


def node_labels(scenario: Scenario) -> Mapping[str, str]:
    """Return every label of the node."""
    if scenario.gke:
        return {"kubernetes.io/hostname": scenario.node, **_gke_labels(scenario), **scenario.labels}
    labels = {
        "kubernetes.io/hostname": scenario.node,
        "nvidia.com/cuda.driver-version.full": scenario.driver,
        "nvidia.com/gpu.present": "true",
        "nvidia.com/mig.strategy": str(scenario.mig_strategy),
        "nvidia.com/mig.capable": str(any(each.board.rows for each in scenario.gpus)).lower(),
    }
    labels |= _gpu_labels(scenario)
    if scenario.mig_strategy is MigStrategy.MIXED:
        labels |= _profile_labels(scenario)
    return {**labels, **scenario.labels}


def _gke_labels(scenario: Scenario) -> dict[str, str]:
    """What GKE writes of a node pool's GPUs; it has no GPU feature discovery of its own."""
    spec = scenario.gpus[0]
    labels: dict[str, str] = {}
    if spec.slotted:
        strategy = "mps" if spec.sharing is GpuSharing.MPS else "time-sharing"
        labels["cloud.google.com/gke-gpu-sharing-strategy"] = strategy
        labels["cloud.google.com/gke-max-shared-clients-per-gpu"] = str(spec.replicas)
    if spec.mig:
        labels["cloud.google.com/gke-gpu-partition-size"] = spec.mig[0]
    return labels


def _gpu_labels(scenario: Scenario) -> dict[str, str]:
    single = scenario.mig_strategy is MigStrategy.SINGLE
    plain = [each for each in scenario.gpus if each.mig is None or single]
    spec = (plain or list(scenario.gpus))[0]
    shared = spec.advertised != "none"
    product = spec.board.name.replace(" ", "-")
    memory, sms = spec.board.memory_bytes, spec.board.sm_count
    count = len(plain)
    if single and spec.mig:
        row = spec.board.row(spec.mig[0])
        product += f"-MIG-{spec.mig[0]}"
        count = sum(len(each.mig or ()) for each in plain)
        if row is not None:
            memory, sms = row.profile.memory_bytes, row.profile.sm_count
    major, minor = _COMPUTE[spec.board.architecture]
    return {
        "nvidia.com/gpu.family": spec.board.architecture,
        "nvidia.com/gpu.compute.major": major,
        "nvidia.com/gpu.compute.minor": minor,
        "nvidia.com/gpu.count": str(count),
        "nvidia.com/gpu.memory": str(memory // MIB),
        "nvidia.com/gpu.multiprocessors": str(sms),
        "nvidia.com/gpu.product": product + ("-SHARED" if shared else ""),
        "nvidia.com/gpu.replicas": str(spec.replicas if shared else 1),
        "nvidia.com/gpu.sharing-strategy": spec.advertised,
    }


def _profile_labels(scenario: Scenario) -> dict[str, str]:
    labels: dict[str, str] = {}
    for spec in scenario.gpus:
        for name in dict.fromkeys(spec.mig or ()):
            row = spec.board.row(name)
            if row is None:
                continue
            prefix = f"nvidia.com/mig-{name.replace('+', '.')}"
            product = f"{spec.board.name.replace(' ', '-')}-MIG-{name.replace('+', '.')}"
            labels |= {
                f"{prefix}.product": product + ("-SHARED" if spec.sharing is not GpuSharing.NONE else ""),
                f"{prefix}.count": str(sum((each.mig or ()).count(name) for each in scenario.gpus)),
                f"{prefix}.replicas": str(spec.replicas),
                f"{prefix}.sharing-strategy": str(spec.sharing),
                f"{prefix}.memory": str(row.profile.memory_bytes // MIB),
                f"{prefix}.multiprocessors": str(row.profile.sm_count),
                f"{prefix}.slices.gi": str(row.profile.slices),
            }
    return labels
