"""HAMi and Volcano vGPU: what their schedulers write on a pod of the devices that its containers were given.

| annotation | format |
|---|---|
| `hami.io/vgpu-devices-allocated` | containers parted by `;`, init containers first; in each, `UUID,Type,MiB,cores:` for every device |
| `volcano.sh/vgpu-ids-new` | the same text |
| `hami.io/vgpu-mig-allocations` | JSON: `containerIndex`, `gpuUUID`, `profile`, `migUUID` of instances that HAMi made |

The annotation is the truth and the kubelet's id a guess: the kubelet picks any free slot, and `Allocate` mounts what the
annotation says. Cores 0 mean no limit of cores, so that no compute is promised. With `CUDA_DISABLE_CONTROL` in the pod's own
specification the hook is not loaded.

Sources: Project-HAMi/HAMi pkg/device/devices.go (DecodePodDevices, encoding), pkg/device-plugin/nvidiadevice/nvinternal/
plugin/server.go and util.go (position by container, environment), pkg/device/nvidia/mig_allocations.go. Volcano's use of the
same text rests on public pages.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from exporter.ids import GpuId, MigId, parse
from exporter.records import Grant, Sharing
from exporter.vendors.text import MIB, PodText, mappings, text, whole

_ALLOCATED = {"hami.io/vgpu-devices-allocated": "", "volcano.sh/vgpu-ids-new": "volcano.sh/vgpu-number"}
"""Annotation → resource; empty is the one that the kubelet names."""
_MIG = "hami.io/vgpu-mig-allocations"
_OPT_OUT = "CUDA_DISABLE_CONTROL"

_FIELDS = 4
_WHOLE_PERCENT = 100
_MOST_DEVICES = 64
"""Devices of a container, and containers of a pod; no node has more."""
_MOST_MIB = 1 << 30
"""A pebibyte: above it the text is no amount of memory."""


def grants(pod: PodText) -> tuple[Grant, ...]:
    """Every device that the annotations give to a container of the pod."""
    instances = tuple(_instances(pod))
    carved = {grant.container for grant in instances}
    found = (grant for key in _ALLOCATED for grant in _allocated(pod, key) if grant.container not in carved)
    return (*instances, *found)


def _allocated(pod: PodText, key: str) -> Iterator[Grant]:
    segments = pod.annotation(key).split(";")[: 2 * _MOST_DEVICES]
    if segments[-1] == "":
        segments.pop()
    # Releases before the init containers were counted have one segment for each app container alone.
    names = pod.containers if len(segments) == len(pod.containers) else pod.init_containers + pod.containers
    if len(segments) > len(names):
        return
    for container, segment in zip(names, segments, strict=False):
        for device in segment.split(":")[:_MOST_DEVICES]:
            grant = _device(pod, container, device, _ALLOCATED[key])
            if grant is not None:
                yield grant


def _device(pod: PodText, container: str, written: str, resource: str) -> Grant | None:
    fields = written.split(",")
    if len(fields) != _FIELDS:
        return None
    device, size, cores = parse(fields[0]), whole(fields[2]), whole(fields[3])
    if not isinstance(device, GpuId) or device.replica is not None:
        return None
    legible = size is not None and 0 < size <= _MOST_MIB and cores is not None and cores <= _WHOLE_PERCENT
    return Grant(
        sharing=Sharing.HAMI,
        container=container,
        resource=resource,
        device=device,
        compute=cores / _WHOLE_PERCENT if legible and cores else None,
        memory_bytes=float(size * MIB) if legible and size else None,
        legible=legible,
        unhooked=pod.environment.get((container, _OPT_OUT), "").lower() == "true",
    )


def _instances(pod: PodText) -> Iterator[Grant]:
    written = pod.annotation(_MIG)
    if not written:
        return
    try:
        entries = json.loads(written)
    except (ValueError, RecursionError):
        return
    names = pod.init_containers + pod.containers
    for entry in mappings(entries)[:_MOST_DEVICES]:
        index, device = entry.get("containerIndex"), parse(text(entry.get("migUUID")))
        if not isinstance(index, int) or not 0 <= index < len(names):
            continue
        if isinstance(device, MigId) and device.replica is None:
            profile = text(entry.get("profile"))[:_MOST_DEVICES]
            yield Grant(sharing=Sharing.MIG, container=names[index], device=device, profile=profile)
