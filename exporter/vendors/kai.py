"""KAI scheduler and Run:ai fractions: a pod that asks for a part of a GPU, and the pod that holds the GPU for the group.

| where | what |
|---|---|
| annotation `gpu-fraction` | the part, above 0 and at most 1; it is the part of the memory too |
| annotation `gpu-memory` | MiB instead |
| annotation `gpu-fraction-container-name` | for which container; else the first |
| label `runai-gpu-group` | the group of pods on one GPU; with several devices, labels `runai-gpu-group/<g>=<g>` |
| a pod in `kai-resource-reservation` (Run:ai: `runai-reservation`) | holds the GPU by the kubelet, for the group of its label |

The workload has no device id of its own: the group leads to the reservation pod on the same node, and that to the GPU. The
fraction is bookkeeping; nobody enforces it on the device.

Sources: NVIDIA/KAI-Scheduler pkg/common/constants/constants.go, pkg/binder/binding/resourcereservation; Run:ai's use of the
same labels rests on public pages.
"""

from __future__ import annotations

from exporter.ids import GpuId, parse
from exporter.records import Grant, Role, Sharing
from exporter.vendors.text import MIB, PodText, decimal, whole

RESERVATIONS = frozenset({"kai-resource-reservation", "runai-reservation"})
"""Namespaces of pods that hold a GPU for others; only the scheduler may create pods there."""

_GROUP = "runai-gpu-group"
_FRACTION, _MEMORY, _CONTAINER = "gpu-fraction", "gpu-memory", "gpu-fraction-container-name"
_RESERVED = "run.ai/reserve_for_gpu_index"
_MOST_GROUPS = 64
_MOST_MIB = 1 << 30


def grants(pod: PodText) -> tuple[Grant, ...]:
    """A fraction for each group of the pod, or what a reservation pod holds for its group."""
    groups = _groups(pod)
    if not groups or not pod.containers:
        return ()
    if pod.namespace in RESERVATIONS:
        return (_reservation(pod, groups[0]),)
    if _FRACTION not in pod.annotations and _MEMORY not in pod.annotations:
        return ()
    return tuple(_fraction(pod, group) for group in groups)


def _groups(pod: PodText) -> tuple[str, ...]:
    several = sorted(value for key, value in pod.labels.items() if key.startswith(f"{_GROUP}/") and value)
    one = pod.labels.get(_GROUP, "")
    return tuple(dict.fromkeys(several[:_MOST_GROUPS] or ([one] if one else [])))


def _reservation(pod: PodText, group: str) -> Grant:
    device = parse(pod.annotation(_RESERVED))
    return Grant(
        sharing=Sharing.KAI,
        container=pod.containers[0],
        device=device if isinstance(device, GpuId) else None,
        group=group,
        role=Role.RESERVATION,
    )


def _fraction(pod: PodText, group: str) -> Grant:
    named = pod.annotation(_CONTAINER)
    share, size = decimal(pod.annotation(_FRACTION)), whole(pod.annotation(_MEMORY))
    by_share = _FRACTION in pod.annotations
    fits = share is not None and 0 < share <= 1 if by_share else size is not None and 0 < size <= _MOST_MIB
    return Grant(
        sharing=Sharing.KAI,
        container=named if named in pod.containers else pod.containers[0],
        resource=_FRACTION if by_share else _MEMORY,
        group=group,
        compute=share if fits and by_share else None,
        memory_bytes=float(size * MIB) if fits and not by_share and size is not None else None,
        legible=fits,
    )
