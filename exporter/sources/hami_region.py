"""The limits that HAMi's hook has set, from the region that it shares with its processes (source `hami`).

The file lies on the host, one directory a container, `<root>/<pod uid>_<container>/<name>.cache`. The tenant can write it,
truncate it and put whatever it likes beside it, a device's node too. So it is looked at before it is opened, without
following links (O_PATH): what is no regular file of exactly the known size is never opened, since opening alone does
something to some devices. It is read with pread: mapped, a truncated file would kill this process with
SIGBUS. Only the head is read, the limits; what the region says of use is the tenant's word, and the driver knows better.
Nonsense makes the container's own limit missing and nothing else.

Layout: Project-HAMi/HAMi-core src/multiprocess/multiprocess_memory_limit.h, versions 1.1 and 1.2, x86-64 and glibc.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from exporter.errors import SourceError
from exporter.ids import GpuId, MigId, parse
from exporter.model import Missing, Reason
from exporter.records import HookKey, Limit

MAGIC = 19920718
VERSIONS = frozenset({(1, 1), (1, 2)})
SIZE = 2_008_952
"""Bytes of the whole region; both versions have the same."""
HEAD = 1856
"""Bytes before the processes' slots."""
DEVICES = 16

_COUNT_AT, _UUIDS_AT, _UUID_BYTES, _LIMITS_AT, _SHARES_AT = 56, 64, 96, 1600, 1728
_UNLIMITED_PERCENT = 100
_ABSURD_BYTES = 1 << 50

_MOST_ENTRIES = 64
"""Directory entries that are looked at; a tenant may make as many as it likes."""

_NAME = re.compile(r"[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
_UID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{32}", re.ASCII)
_LOOK = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Region:
    """What a region's head says: limits by device UUID."""

    limits: Mapping[str, Limit]


def parse_head(head: bytes) -> Region | None:
    """Parse the head of a region; None when it is not one. Never raises."""
    if len(head) != HEAD:
        return None
    magic, major, minor = struct.unpack_from("<iII", head)
    (count,) = struct.unpack_from("<Q", head, _COUNT_AT)
    if magic != MAGIC or (major, minor) not in VERSIONS or not 0 < count <= DEVICES:
        return None
    sizes = struct.unpack_from(f"<{DEVICES}Q", head, _LIMITS_AT)
    shares = struct.unpack_from(f"<{DEVICES}Q", head, _SHARES_AT)
    limits: dict[str, Limit] = {}
    for number in range(count):
        at = _UUIDS_AT + number * _UUID_BYTES
        device = parse(head[at : at + _UUID_BYTES].split(b"\0", 1)[0].decode("ascii", "replace"))
        if not isinstance(device, GpuId | MigId) or device.replica is not None or sizes[number] >= _ABSURD_BYTES:
            return None
        share = shares[number]
        limits[device.uuid] = Limit(
            compute=share / _UNLIMITED_PERCENT if 0 < share < _UNLIMITED_PERCENT else None,
            memory_bytes=float(sizes[number]) if sizes[number] else None,
        )
    return Region(limits)


class HookLimits:
    """The regions under `root`. Satisfies `base.HookSource`."""

    def __init__(self, root: str) -> None:
        self._root = root

    def read(self, asked: Collection[HookKey], now: float) -> Mapping[HookKey, Limit | Missing]:
        """Read the limit of each container that is asked for. Raises SourceError when there is no such directory."""
        del now
        try:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except PermissionError as error:
            raise SourceError(f"{self._root}: permission denied; run as root (uid 0)", Reason.PERMISSION) from error
        except OSError as error:
            hint = "is HAMi's directory of the host mounted here? (--path.hami)"
            raise SourceError(f"{self._root}: {error.strerror or error}; {hint}", Reason.NOT_CONFIGURED) from error
        try:
            return self._limits(root, asked)
        finally:
            os.close(root)

    def close(self) -> None:
        """Nothing is open."""

    def _limits(self, root: int, asked: Collection[HookKey]) -> dict[HookKey, Limit | Missing]:
        devices: dict[tuple[str, str], list[str]] = defaultdict(list)
        for uid, container, device in asked:
            devices[(uid, container)].append(device)
        found: dict[HookKey, Limit | Missing] = {}
        for (uid, container), uuids in devices.items():
            region = _region(root, uid, container)
            for uuid in uuids:
                limit = (
                    region if isinstance(region, Missing) else region.limits.get(uuid, Missing(Reason.CONTRADICTION))
                )
                found[(uid, container, uuid)] = limit
        return found


def _region(root: int, uid: str, container: str) -> Region | Missing:
    """The one region of a container; NOT_YET while no process has made it, CONTRADICTION when it is none or they differ."""
    if not _UID.fullmatch(uid) or not _NAME.fullmatch(container):
        return Missing(Reason.UNSUPPORTED)
    try:
        directory = os.open(f"{uid}_{container}", os.O_DIRECTORY | os.O_NOFOLLOW | _OPEN, dir_fd=root)
    except FileNotFoundError:
        return Missing(Reason.NOT_YET)
    except PermissionError:
        return Missing(Reason.PERMISSION)
    except OSError:
        return Missing(Reason.ERROR)
    try:
        regions = list(_regions(directory))
    except OSError:
        return Missing(Reason.ERROR)
    finally:
        os.close(directory)
    if not regions:
        return Missing(Reason.NOT_YET)
    first = regions[0]
    return first if all(region == first for region in regions) else Missing(Reason.CONTRADICTION)


def _regions(directory: int) -> Iterator[Region | Missing]:
    with os.scandir(directory) as entries:
        names = [entry.name for entry, _ in zip(entries, range(_MOST_ENTRIES), strict=False)]
    for name in names:
        if name.endswith(".cache"):
            yield _read(directory, name)


def _read(directory: int, name: str) -> Region | Missing:
    try:
        seen = os.open(name, _LOOK, dir_fd=directory)
    except PermissionError:
        return Missing(Reason.PERMISSION)
    except OSError:  # gone, or no name of a file
        return Missing(Reason.CONTRADICTION)
    try:
        facts = os.fstat(seen)
        if not stat.S_ISREG(facts.st_mode) or facts.st_size != SIZE:
            return Missing(Reason.CONTRADICTION)
        region = parse_head(_head(seen))
    except PermissionError:
        return Missing(Reason.PERMISSION)
    except OSError:
        return Missing(Reason.ERROR)
    finally:
        os.close(seen)
    return Missing(Reason.CONTRADICTION) if region is None else region


def _head(seen: int) -> bytes:
    """Open the very file that was looked at, whatever its name leads to by now, and read its head. Raises OSError."""
    file = os.open(f"/proc/self/fd/{seen}", _OPEN)
    try:
        return os.pread(file, HEAD, 0)
    finally:
        os.close(file)
