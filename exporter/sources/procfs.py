"""Who a pid is, from procfs: its command, its start time and the pods that its cgroup path names (source `cgroup`).

The cgroup path is the one link from a process on a GPU to a pod that no tenant's image can forge by naming itself.
A tenant that may make cgroups of its own can still add components *below* its own pod's, so that every pod in the path
is reported, deepest first, and the join decides with the pods that it knows.

Facts: proc(5); kernel include/linux/proc_ns.h; path shapes from the kubelet's cgroup managers and the container
runtimes, as collected in sustainable-computing-io/kepler internal/resource/container_test.go.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import SourceError
from exporter.model import CgroupPod, Missing, ProcessFacts, ProcessTable, Reason

_POD = re.compile(
    r"(?:^|[-/])pod([0-9a-f]{8}(?:[-_][0-9a-f]{4}){3}[-_][0-9a-f]{12}|[0-9a-f]{32})(?=\.slice|/|$)", re.ASCII
)
"""A pod's uid, or a static pod's 32-digit config hash. Anchored: `libpod-<64 hex>` of podman is no pod."""

_CONTAINER = re.compile(r"(?<![0-9a-f])(?<!conmon-)[0-9a-f]{64}(?![0-9a-f])", re.ASCII)
"""A container id; CRI-O's `crio-conmon-<id>` is the container's monitor, not the container."""

_MAX_STAT = 4096
_MAX_CGROUP = 64 * 1024
"""Bytes; a v1 file has about a dozen lines of at most PATH_MAX (4096)."""

_STARTED = 22 - 3
"""Position of starttime (field 22) among the fields behind the command, the first of which is field 3."""

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC
"""Inode of the machine's first pid namespace, the same on every Linux (PROC_PID_INIT_INO)."""

_DELETED = " (deleted)"


def pods_of_cgroup(text: str) -> tuple[CgroupPod, ...]:
    """Every pod that a `/proc/<pid>/cgroup` names, deepest first; empty for a process of no pod.

    Version 1 has a line for each controller, which may stand at the root in some of them; the line that names most
    counts. A container id is the first one behind its pod and before the next; deeper ones are containers in containers.
    """
    # A newline alone ends a line: it is the one character that the kernel refuses in a cgroup's name (cgroup_mkdir), and a
    # tenant may have made one with any other that Python would split at.
    paths = (line.split(":", 2)[2] for line in text.split("\n") if line.count(":") > 1)
    found = (_pods_of_path(path.removesuffix(_DELETED)) for path in paths)
    return max(found, key=lambda pods: (len(pods), sum(pod.container_id is not None for pod in pods)), default=())


def _pods_of_path(path: str) -> tuple[CgroupPod, ...]:
    pods: list[CgroupPod] = []
    end = len(path)
    for match in reversed(list(_POD.finditer(path))):
        container = _CONTAINER.search(path, match.end(), end)
        pods.append(CgroupPod(match[1].replace("_", "-"), container[0] if container else None))
        end = match.start()
    return tuple(pods)


@dataclass(frozen=True, slots=True)
class Stat:
    """What `/proc/<pid>/stat` says of a process. `started` is in clock ticks since boot."""

    command: str
    started: int


def parse_stat(text: str) -> Stat | None:
    """Parse `/proc/<pid>/stat`; None when it is not one.

    The command stands in parentheses and may hold spaces, parentheses and digits of its own: it ends at the last one.
    """
    head, separator, tail = text.rpartition(")")
    _, opened, command = head.partition("(")
    fields = tail.split(None, _STARTED + 1)
    if not separator or not opened or len(fields) <= _STARTED or not fields[_STARTED].isascii():
        return None
    started = fields[_STARTED]
    # 20 digits hold any unsigned long long.
    return Stat(_unescaped(command), int(started)) if started.isdigit() and len(started) <= 20 else None  # noqa: PLR2004  # said above


def _unescaped(command: str) -> str:
    r"""Undo what `stat` alone does to a command: newline and backslash stand as `\n` and `\\` (fs/proc/array.c)."""
    if "\\" not in command:
        return command
    return re.sub(r"\\(n|\\)", lambda match: "\n" if match[1] == "n" else "\\", command)


class Procfs:
    """Facts about processes from the procfs at `root`. Satisfies `base.ProcessSource`.

    The command is read from `stat` too (it is the text of `comm`), so that a process that was seen before costs one
    small read: its cgroup is kept as long as pid, start time and command are the same. A command that changes means
    exec, behind which a container runtime may have moved the process.
    """

    def __init__(self, root: str = "/proc") -> None:
        self._root = root.rstrip("/") or "/"
        self._known: dict[int, ProcessFacts] = {}

    def read(self, pids: Collection[int]) -> ProcessTable:
        """Look these pids up; one that is gone is left out.

        Raises SourceError when `root` is no procfs, or when every process that exists there is closed to this one.
        """
        found: dict[int, ProcessFacts] = {}
        denied: list[int] = []
        for pid in pids:
            try:
                facts = self._facts(pid)
            except PermissionError:
                denied.append(pid)
                continue
            if facts is not None:
                found[pid] = facts
        if not found:
            self._check(denied)
        self._known = found
        return dict(found)

    def _facts(self, pid: int) -> ProcessFacts | None:
        """Read one process; None when it is gone. Raises PermissionError, and SourceError for any other failure."""
        directory = f"{self._root}/{pid}"
        text = _read(f"{directory}/stat", _MAX_STAT)
        stat = None if text is None else parse_stat(text)
        if stat is None:
            return None
        known = self._known.get(pid)
        if known is not None and (known.started, known.command) == (stat.started, stat.command):
            return known
        cgroup = _read(f"{directory}/cgroup", _MAX_CGROUP)
        if cgroup is None:
            return None
        return ProcessFacts(pid=pid, command=stat.command, started=stat.started, pods=pods_of_cgroup(cgroup))

    def _check(self, denied: Collection[int]) -> None:
        """Tell a procfs without these processes from a directory that is none."""
        if denied:
            hint = "run as root, and without hidepid on that mount"
            raise SourceError(f"procfs {self._root}: permission denied for {min(denied)}; {hint}", Reason.PERMISSION)
        try:
            present = _read(f"{self._root}/stat", 1) is not None
        except PermissionError as error:
            raise SourceError(f"procfs {self._root}: permission denied", Reason.PERMISSION) from error
        if not present:
            raise SourceError(f"procfs {self._root}: no procfs (it has no file 'stat'); set --path.procfs")


def _read(path: str, limit: int) -> str | None:
    """Read at most `limit` bytes as text; None when the process or the file is gone.

    By the system's own calls, because there is one such file for each process on a GPU and tick.
    """
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = more = os.read(file, limit)
            while more and len(found) < limit:
                more = os.read(file, limit - len(found))
                found += more
            return found.decode("utf-8", "replace")
        finally:
            os.close(file)
    except (FileNotFoundError, ProcessLookupError, NotADirectoryError):
        return None
    except PermissionError:
        raise
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror or error}") from error


def host_pid_namespace(root: str = "/proc") -> bool | Missing:
    """Whether this process is in the machine's first pid namespace, so that its pids are the ones the driver means.

    Missing when the procfs at `root` does not say.
    """
    link = Path(root) / "self" / "ns" / "pid"
    try:
        target = link.readlink()
    except PermissionError:
        return Missing(Reason.PERMISSION)
    except FileNotFoundError:
        return Missing(Reason.UNSUPPORTED)
    except OSError:
        return Missing(Reason.ERROR)
    return str(target) == f"pid:[{_INITIAL_PID_NAMESPACE}]"
