"""Names of a site, made into others that are as good: one name is one pseudonym in the whole recording, and in no other.

Every text of the model has a role here. A field that has none is refused, so that what the model gains is never recorded by its
real name because nobody thought of it.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from enum import Enum
from functools import cache

from exporter.dcgm.reading import DcgmDevice, DcgmReading, NamedPod
from exporter.exposition import Distribution
from exporter.ids import ClaimId, GpuId, MigId, MigPathId, SplitId, UnknownId
from exporter.metrics import SourceHealth
from exporter.model import (
    Allocation,
    Allocations,
    CgroupPod,
    DriverReading,
    Gpu,
    Inventory,
    MigInstance,
    Pod,
    Pods,
    ProcessFacts,
    Profile,
    Sampled,
    Xid,
)
from exporter.partitions import Evidence
from exporter.policy import ALLOWED_COMMANDS, COMM_LENGTH, SYSTEM_NAMESPACES
from exporter.records import Claim, ClaimResult, ClaimUse, Grant, Prepared, Published

_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TECHNICAL = re.compile(
    r"(nvidia\.com|amd\.com|hami\.io|volcano\.sh|kai\.scheduler|run\.ai|runai|cloud\.google\.com/gke-|resource\.k8s\.io)"
)


_CONTAINER_ID = re.compile(r"[0-9a-f]{64}")


class Role(Enum):
    """What a text is, and so what becomes of it."""

    PLAIN = "plain"  # says nothing of the site: a model, a version, a resource, a phase
    NODE = "node"
    NAMESPACE = "ns"
    POD = "pod"
    CONTAINER = "c"
    WORKLOAD = "app"
    UUID = "uuid"  # whatever UUIDs are in it
    HEX = "hex"  # as long as it was
    IP = "ip"
    COMMAND = "cmd"
    RECORD = "rec"  # a name in a scheduler's record: of a claim, a request, a group
    LABELS = "labels"  # kept where they are of a GPU's world, else left out
    DETAIL = "detail"  # an error's text, in which anything may stand


ROLES: Mapping[tuple[type, str], Role] = {
    (Evidence, "node"): Role.NODE,
    (Evidence, "declared.0"): Role.NAMESPACE,
    (Evidence, "declared.1"): Role.POD,
    (Evidence, "hooks.0"): Role.UUID,
    (Evidence, "hooks.1"): Role.CONTAINER,
    (Evidence, "hooks.2"): Role.UUID,
    (Evidence, "daemons.0"): Role.UUID,
    (Evidence, "daemons.1"): Role.UUID,
    (SourceHealth, "name"): Role.PLAIN,
    (SourceHealth, "detail"): Role.DETAIL,
    (Inventory, "driver"): Role.PLAIN,
    (Inventory, "nvml"): Role.PLAIN,
    (Gpu, "uuid"): Role.UUID,
    (Gpu, "model"): Role.PLAIN,
    (Gpu, "architecture"): Role.PLAIN,
    (Gpu, "names"): Role.UUID,
    (Profile, "name"): Role.PLAIN,
    (MigInstance, "uuid"): Role.UUID,
    (MigInstance, "profile"): Role.PLAIN,
    (MigInstance, "kind"): Role.PLAIN,
    (MigInstance, "names"): Role.UUID,
    (DriverReading, "gpus"): Role.UUID,
    (DriverReading, "devices"): Role.UUID,
    (Xid, "gpu"): Role.UUID,
    (Allocation, "namespace"): Role.NAMESPACE,
    (Allocation, "pod"): Role.POD,
    (Allocation, "container"): Role.CONTAINER,
    (Allocation, "resource"): Role.PLAIN,
    (Allocations, "allocatable"): Role.PLAIN,
    (GpuId, "uuid"): Role.UUID,
    (MigId, "uuid"): Role.UUID,
    (MigPathId, "gpu"): Role.UUID,
    (SplitId, "uuid"): Role.UUID,
    (UnknownId, "text"): Role.UUID,
    (ClaimId, "namespace"): Role.NAMESPACE,
    (ClaimId, "claim"): Role.RECORD,
    (ClaimId, "driver"): Role.PLAIN,
    (ClaimId, "pool"): Role.NODE,
    (ClaimId, "device"): Role.PLAIN,
    (ClaimId, "share"): Role.UUID,
    (Pod, "uid"): Role.UUID,
    (Pod, "namespace"): Role.NAMESPACE,
    (Pod, "name"): Role.POD,
    (Pod, "phase"): Role.PLAIN,
    (Pod, "workload_kind"): Role.PLAIN,
    (Pod, "workload"): Role.WORKLOAD,
    (Pod, "containers"): Role.CONTAINER,
    (Pod, "ended_containers"): Role.CONTAINER,
    (Pod, "container_ids"): Role.CONTAINER,
    (Pod, "config_hash"): Role.HEX,
    (Pod, "ip"): Role.IP,
    (Pod, "labels"): Role.LABELS,
    (Grant, "container"): Role.CONTAINER,
    (Grant, "resource"): Role.PLAIN,
    (Grant, "group"): Role.RECORD,
    (Grant, "profile"): Role.PLAIN,
    (Grant, "claim"): Role.UUID,
    (Grant, "odd"): Role.PLAIN,
    (ClaimUse, "container"): Role.CONTAINER,
    (ClaimUse, "claim"): Role.RECORD,
    (ClaimUse, "request"): Role.RECORD,
    (Claim, "uid"): Role.UUID,
    (Claim, "namespace"): Role.NAMESPACE,
    (Claim, "name"): Role.RECORD,
    (ClaimResult, "request"): Role.RECORD,
    (ClaimResult, "driver"): Role.PLAIN,
    (ClaimResult, "pool"): Role.NODE,
    (ClaimResult, "device"): Role.PLAIN,
    (ClaimResult, "share"): Role.UUID,
    (ClaimResult, "strategy"): Role.PLAIN,
    (ClaimResult, "pinned"): Role.UUID,
    (ClaimResult, "capacity"): Role.PLAIN,
    (Published, "driver"): Role.PLAIN,
    (Published, "pool"): Role.NODE,
    (Published, "name"): Role.PLAIN,
    (Published, "uuid"): Role.UUID,
    (Published, "profile"): Role.PLAIN,
    (Prepared, "claim"): Role.UUID,
    (Prepared, "driver"): Role.PLAIN,
    (Prepared, "pool"): Role.NODE,
    (Prepared, "device"): Role.PLAIN,
    (Prepared, "uuid"): Role.UUID,
    (DcgmReading, "gpus"): Role.UUID,
    (DcgmReading, "untrusted"): Role.PLAIN,
    (DcgmDevice, "profile"): Role.PLAIN,
    (NamedPod, "namespace"): Role.NAMESPACE,
    (NamedPod, "pod"): Role.POD,
    (Sampled, "source"): Role.PLAIN,
    (Sampled, "readings"): Role.PLAIN,
    (Pods, "deleted"): Role.UUID,
    (Pods, "node_labels"): Role.LABELS,
    (CgroupPod, "pod_uid"): Role.UUID,
    (CgroupPod, "container_id"): Role.HEX,
    (ProcessFacts, "command"): Role.COMMAND,
    (Distribution, "bounds"): Role.PLAIN,
}


_KNOWN = frozenset(
    {(Role.NAMESPACE, name) for name in SYSTEM_NAMESPACES}
    | {(Role.COMMAND, cut) for name in ALLOWED_COMMANDS for cut in (name, name[:COMM_LENGTH])}
)
"""What the judge knows by name, and every cluster has."""


class Disguise:
    """Makes pseudonyms. The salt is made for one recording and thrown away with it: nobody can try names out."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt
        self._token = cache(self._hashed)

    def text(self, kind: type, field: str, text: str) -> str:
        """Return what stands for a text. Raises KeyError for a field without a role."""
        role = ROLES[kind, field]
        if not text or role in {Role.PLAIN, Role.LABELS} or (role, text) in _KNOWN:
            return text
        if role is Role.DETAIL:
            return "not recorded"
        if role is Role.UUID:
            return self._uuid(text)
        if role is Role.IP:
            return f"192.0.2.{int(self._token(text, 4), 16) % 255}"
        if role is Role.HEX or _CONTAINER_ID.fullmatch(text):  # ids are the keys of a mapping to containers' names
            return self._token(text, len(text))
        return self._named(role, text)

    def kept(self, kind: type, field: str, key: str) -> bool:
        """Whether an entry is kept: labels of a site's own are left out."""
        return ROLES[kind, field] is not Role.LABELS or _TECHNICAL.match(key) is not None

    def _named(self, role: Role, text: str) -> str:
        return f"{role.value}-{self._token(text, 8)}"

    def _uuid(self, text: str) -> str:
        """Replace the UUIDs, or a static pod's 32 digits; what holds neither is a spelling, and is kept out."""
        if _UUID.search(text):
            return _UUID.sub(lambda found: self._shaped(found[0].lower()), text)
        return self._token(text, len(text)) if re.fullmatch(r"[0-9a-f]{32}", text) else self._named(Role.UUID, text)

    def _shaped(self, uuid: str) -> str:
        digits = self._token(uuid, 32)
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))

    def _hashed(self, text: str, length: int) -> str:
        found = hmac.new(self._salt, text.encode("utf-8", "surrogatepass"), hashlib.sha512).hexdigest()
        return (found * (length // len(found) + 1))[:length]


class Plain:
    """Leaves everything as it is."""

    def text(self, kind: type, field: str, text: str) -> str:
        """Return the text."""
        del kind, field
        return text

    def kept(self, kind: type, field: str, key: str) -> bool:
        """Keep every entry."""
        del kind, field, key
        return True
