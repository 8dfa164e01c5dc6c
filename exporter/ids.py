"""The device-id grammar of the kubelet's world, parsed once into types.

Every spelling that a device plugin has been seen to hand to the kubelet has one branch here and one row in
`tests/test_ids.py`. What no branch knows is `UnknownId` with its text, never a guess.

| producer                            | spelling                                  | parsed as          |
|---|---|---|
| NVIDIA device plugin, whole GPU     | `GPU-<uuid>`                              | `GpuId`            |
| NVIDIA device plugin, MIG           | `MIG-<uuid>`                              | `MigId`            |
| NVIDIA device plugin, MIG before R470 | `MIG-GPU-<uuid>/<gi>/<ci>`              | `MigPathId`        |
| time-slicing and MPS replicas       | any of the above followed by `::<n>`      | the same, `replica=n` |
| GKE                                 | `nvidia<minor>[/gi<n>][/vgpu<n>]`         | `MinorId`          |
| HAMi                                | `GPU-<uuid>-<n>`                          | `SplitId`          |
| a claim (DRA): no text of the kubelet's, but names of claim, driver, pool and device | | `ClaimId` |
| AMD's device plugin                 | `0000:19:00.0`, `amdgpu_xcp_30`           | `UnknownId`, found by the driver's own names |

Sources: NVIDIA/k8s-device-plugin internal/rm/devices.go (AnnotatedID) and replicas.go; NVIDIA/dcgm-exporter
internal/pkg/transformation/kubernetes.go (the GKE pattern); Project-HAMi/HAMi plugin/server.go.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ANY_CASE = re.IGNORECASE | re.ASCII
"""ASCII: else `I` in any case is a Turkish one too, and what is spelled so would be taken for another's device."""
_GPU = re.compile(rf"GPU-{_UUID}", _ANY_CASE)
_MIG = re.compile(rf"MIG-{_UUID}", _ANY_CASE)
_MIG_PATH = re.compile(rf"MIG-(GPU-{_UUID})/([0-9]+)/([0-9]+)", _ANY_CASE)
_MINOR = re.compile(r"nvidia([0-9]+)(?:/gi([0-9]+))?(?:/vgpu([0-9]+))?")
_SPLIT = re.compile(rf"(GPU-{_UUID})-([0-9]+)", _ANY_CASE)
_REPLICA = re.compile(r"[0-9]+")
_CLAIMED = re.compile(r"gpu-([0-9]{1,9})(?:-mig-[0-9a-z.+-]{1,64}-([0-9]{1,9})-([0-9]{1,9}))?")

_MAX_DIGITS = 9
"""Longer numbers are no instance, minor or slot; int() on megabytes of digits from a hostile plugin would hang."""


@dataclass(frozen=True, slots=True)
class GpuId:
    """A whole GPU by UUID."""

    uuid: str
    replica: int | None = None


@dataclass(frozen=True, slots=True)
class MigId:
    """A MIG instance by its own UUID (driver R470 and newer)."""

    uuid: str
    replica: int | None = None


@dataclass(frozen=True, slots=True)
class MigPathId:
    """A MIG instance by parent and instance numbers (drivers before R470)."""

    gpu: str
    gpu_instance: int
    compute_instance: int
    replica: int | None = None


@dataclass(frozen=True, slots=True)
class MinorId:
    """A GKE id. `minor` is the device file's number, which need not be the driver's index."""

    minor: int
    gpu_instance: int | None = None
    replica: int | None = None


@dataclass(frozen=True, slots=True)
class SplitId:
    """A HAMi split id: the kubelet's guess, which the pod's annotation overrules."""

    uuid: str
    replica: int


@dataclass(frozen=True, slots=True)
class UnknownId:
    """A spelling that no branch knows, kept as it came."""

    text: str
    replica: int | None = None


@dataclass(frozen=True, slots=True)
class ClaimId:
    """A device of a ResourceClaim (DRA). The driver's name for it, `gpu-1-mig-3g40gb-9-0`, is used again for others."""

    namespace: str
    claim: str
    driver: str
    pool: str
    device: str
    share: str = ""
    replica: int | None = None


DeviceId = GpuId | MigId | MigPathId | MinorId | SplitId | ClaimId | UnknownId


def parse(text: str) -> DeviceId:
    """Parse one device id. Never raises; what is not recognised is `UnknownId` with the whole text.

    UUID prefixes are canonical upper case with lower-case digits, as NVML prints them, so that ids compare.
    """
    base, separator, tail = text.partition("::")
    replica: int | None = None
    if separator:
        if not _REPLICA.fullmatch(tail) or len(tail) > _MAX_DIGITS:
            return UnknownId(text)
        replica = int(tail)
    parsed = _parse_base(base, replica)
    return UnknownId(text) if parsed is None else parsed


def _parse_base(base: str, replica: int | None) -> DeviceId | None:
    if _GPU.fullmatch(base):
        return GpuId(canonical(base), replica)
    if _MIG.fullmatch(base):
        return MigId(canonical(base), replica)
    if (found := _MIG_PATH.fullmatch(base)) and _short(found[2], found[3]):
        return MigPathId(canonical(found[1]), int(found[2]), int(found[3]), replica)
    if (found := _MINOR.fullmatch(base)) and replica is None and _short(*(part or "" for part in found.groups())):
        return MinorId(int(found[1]), _number(found[2]), _number(found[3]))
    if (found := _SPLIT.fullmatch(base)) and replica is None and _short(found[2]):
        return SplitId(canonical(found[1]), int(found[2]))
    return None


@dataclass(frozen=True, slots=True)
class ClaimedName:
    """What NVIDIA's DRA driver calls a device: by minor, an instance by its profile's id and where it begins."""

    minor: int
    profile_id: int | None = None
    start: int | None = None


def claimed_name(name: str) -> ClaimedName | None:
    """Parse the driver's name of a claimed device (k8s-dra-driver-gpu cmd/gpu-kubelet-plugin/deviceinfo.go, mig.go)."""
    found = _CLAIMED.fullmatch(name)
    return None if found is None else ClaimedName(int(found[1]), _number(found[2]), _number(found[3]))


def canonical(uuid: str) -> str:
    """`GPU-` or `MIG-` in capitals and the digits in lower case, as the driver prints them."""
    prefix, _, digits = uuid.partition("-")
    return f"{prefix.upper()}-{digits.lower()}"


def _short(*numbers: str) -> bool:
    return all(len(number) <= _MAX_DIGITS for number in numbers)


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


MIG_RESOURCE_PREFIX = "nvidia.com/mig-"
SHARED_SUFFIX = ".shared"


def profile_of_resource(resource: str) -> str | None:
    """Return the MIG profile that a resource name of strategy `mixed` promises, or None for any other name.

    The plugin turns `+` into `.` (`1g.10gb+me` becomes `nvidia.com/mig-1g.10gb.me`), keeps `-me`, and may append
    `.shared` for replicas (k8s-device-plugin internal/rm/rm.go, api/config/v1/consts.go).
    """
    if not resource.startswith(MIG_RESOURCE_PREFIX):
        return None
    name = resource.removeprefix(MIG_RESOURCE_PREFIX).removesuffix(SHARED_SUFFIX)
    size, separator, attributes = name.partition("gb.")
    return f"{size}gb+{attributes}" if separator else name


def is_gpu_resource(resource: str) -> bool:
    """Whether a resource name is one that an NVIDIA device plugin advertises GPUs under."""
    domain, _, name = resource.partition("/")
    return domain == "nvidia.com" and (name.split(".", 1)[0] == "gpu" or name.startswith("mig-"))


def is_partition_resource(resource: str) -> bool:
    """Whether any vendor's plugin advertises GPUs, or parts of them, under this name.

    AMD's has no other resources than `amd.com/gpu` and, named mixed, compute and memory mode: `amd.com/cpx_nps4`.
    """
    return is_gpu_resource(resource) or resource.startswith("amd.com/")


GPU_DRIVERS = frozenset({"gpu.nvidia.com", "gpu.amd.com"})
"""DRA drivers whose devices are GPUs."""
