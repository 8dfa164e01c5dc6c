"""What NVIDIA's DRA driver has prepared for which claim, from the checkpoint that it keeps for itself (source `dra`).

The file is internal to the driver and versioned. It is read because it alone knows the UUID of an instance that is made when
it is claimed; without it such an instance is found by its name. Another version than the known ones is refused, not guessed.

Sources: k8s-dra-driver-gpu cmd/gpu-kubelet-plugin/checkpoint.go, checkpointv.go, prepared.go, mig.go, main.go.
"""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.records import Prepared
from exporter.vendors.text import mapping, mappings, text

_VERSION = "v2"
_COMPLETED = "PrepareCompleted"
_DRIVER = "gpu.nvidia.com"
_MOST_BYTES = 16 * 1024 * 1024
_MOST_CLAIMS = 4096


class Checkpoint:
    """The checkpoint at `path`. Satisfies `base.PreparedSource`. `procfs` tells since when the node runs."""

    def __init__(self, path: str, procfs: str = "/proc") -> None:
        self._path = path
        self._boot = Path(procfs) / "sys" / "kernel" / "random" / "boot_id"

    def read(self, now: float) -> tuple[Prepared, ...]:
        """Read it once. Raises SourceError when it is there and cannot be used; without one nothing is prepared."""
        del now
        try:
            file = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except FileNotFoundError:
            return ()
        except OSError as error:
            reason = Reason.PERMISSION if isinstance(error, PermissionError) else Reason.ERROR
            raise SourceError(f"{self._path}: {error.strerror or error}", reason) from error
        try:
            facts = os.fstat(file)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > _MOST_BYTES:
                raise SourceError(f"{self._path}: no file of a checkpoint's size")
            written = os.pread(file, _MOST_BYTES, 0)
        except OSError as error:
            raise SourceError(f"{self._path}: {error.strerror or error}") from error
        finally:
            os.close(file)
        try:
            tree = json.loads(written)
        except (ValueError, RecursionError) as error:
            raise SourceError(f"{self._path}: not JSON") from error
        if not isinstance(mapping(tree).get(_VERSION), Mapping):
            raise SourceError(f"{self._path}: a checkpoint without {_VERSION}: another release than is known")
        return tuple(prepared(tree, self._boot_id()))

    def close(self) -> None:
        """Nothing is open."""

    def _boot_id(self) -> str:
        try:
            return self._boot.read_text().strip()
        except OSError:
            return ""


def prepared(tree: Mapping[str, Any], boot: str) -> Iterator[Prepared]:
    """Read the prepared claims of a checkpoint; those of another boot of the node are not prepared now."""
    version = mapping(tree.get(_VERSION))
    written = text(version.get("nodeBootID")) or text(tree.get("nodeBootID"))
    same = not written or not boot or written == boot
    for uid, each in list(mapping(version.get("preparedClaims")).items())[:_MOST_CLAIMS]:
        claim = mapping(each)
        ready = same and text(claim.get("checkpointState")) == _COMPLETED
        found = list(_devices(str(uid), claim, ready=ready))
        yield from found or _allocated(str(uid), claim)


def _devices(uid: str, claim: Mapping[str, Any], *, ready: bool) -> Iterator[Prepared]:
    for group in mappings(claim.get("preparedDevices")):
        for each in mappings(group.get("devices")):
            gpu, mig = mapping(each.get("gpu")), mapping(each.get("mig"))
            device = mapping(gpu.get("device") or mig.get("device"))
            uuid = text(mapping(gpu.get("info")).get("uuid")) or text(mapping(mig.get("concrete")).get("migUUID"))
            name, pool = _field(device, "DeviceName"), _field(device, "PoolName")
            if name and uuid:
                yield Prepared(claim=uid, driver=_DRIVER, pool=pool, device=name, uuid=uuid, ready=ready)


def _allocated(uid: str, claim: Mapping[str, Any]) -> Iterator[Prepared]:
    """What was allocated, for a claim whose preparation was begun and left nothing."""
    allocation = mapping(mapping(claim.get("status")).get("allocation"))
    for each in mappings(mapping(allocation.get("devices")).get("results")):
        name, pool = text(each.get("device")), text(each.get("pool"))
        if text(each.get("driver")) == _DRIVER and name:
            yield Prepared(claim=uid, driver=_DRIVER, pool=pool, device=name, uuid="", ready=False)


def _field(device: Mapping[str, Any], name: str) -> str:
    """A field of a Go struct without JSON names, or with the usual ones."""
    return text(device.get(name)) or text(device.get(name[0].lower() + name[1:]))
