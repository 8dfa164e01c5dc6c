"""A procfs for tests: a folder of the files that the exporter reads, in the kernel's formats."""

from __future__ import annotations

import shutil
from pathlib import Path

UID = "0b3dbf5e-2c5e-4d6b-9a8f-5f1c2d3e4a5b"


class FakeProcfs:
    """Writes `root` as a procfs. Processes come and go by `put` and `remove`."""

    def __init__(self, root: Path, *, pid_namespace: int = 0xEFFFFFFC) -> None:
        self.root = root
        (root / "self" / "ns").mkdir(parents=True)
        (root / "self" / "ns" / "pid").symlink_to(f"pid:[{pid_namespace}]")
        (root / "stat").write_text("cpu  1 2 3 4 5 6 7 0 0 0\nbtime 1700000000\n")

    def put(self, pid: int, command: str, cgroup: str, *, started: int = 1000) -> None:
        """Make or replace a process. `cgroup` is the whole file, or one path of version 2."""
        directory = self.root / str(pid)
        directory.mkdir(exist_ok=True)
        (directory / "comm").write_text(f"{command}\n")
        (directory / "stat").write_text(stat_line(pid, command, started))
        (directory / "cgroup").write_text(cgroup if ":" in cgroup.partition("/")[0] else f"0::{cgroup}\n")

    def put_in_pod(
        self, pid: int, command: str, uid: str, container_id: str = "c" * 64, *, started: int = 1000
    ) -> None:
        """Make a process of a container, in the layout of cgroup version 2 with systemd and containerd."""
        pod = f"kubepods-burstable-pod{uid.replace('-', '_')}.slice"
        path = f"/kubepods.slice/kubepods-burstable.slice/{pod}/cri-containerd-{container_id}.scope"
        self.put(pid, command, path, started=started)

    def remove(self, pid: int) -> None:
        """End a process."""
        shutil.rmtree(self.root / str(pid))


def stat_line(pid: int, command: str, started: int) -> str:
    r"""Return a `stat` file; the kernel escapes newline and backslash in its command, and nothing else."""
    escaped = command.replace("\\", "\\\\").replace("\n", "\\n")
    before, after = "S 1 1 1 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0", "1 1 18446744073709551615 0 0 0 0"
    return f"{pid} ({escaped}) {before} {started} {after}\n"
