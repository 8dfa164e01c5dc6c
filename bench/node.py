"""A node in a process of its own: driver state, kubelet socket, procfs, and processes that exist.

    python -m bench.node FOLDER PARTITIONS

The state is rewritten once a second, so that readings change. Every process on the node's devices is a real one (a
`sleep`), because the peer looks its processes up in this machine's /proc while slicewatch is shown the folder's procfs:
each of the two does the whole of its own work. Says `ready` on standard output and ends when standard input does.
"""

from __future__ import annotations

import contextlib
import select
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from bench.evidence import pids
from exporter.ids import GpuId, MigId
from exporter.model import Allocation, DeviceUse, DriverReading, Missing
from exporter.simulator.sources import SimSources, build
from exporter.simulator.synthetic import synthetic
from tests.fake_nvml.state import from_reading, write
from tests.fakes.kubelet import FakeKubelet
from tests.fakes.procfs import FakeProcfs

STATE, SOCKET, PROCFS = "state", "kubelet.sock", "proc"
"""Names in the folder."""

_LONGEST = "7200"
"""Seconds after which the processes end by themselves, should this program not live to end them."""


def serve(folder: Path, partitions: int) -> None:
    """Be the node until standard input ends."""
    node = build(synthetic(partitions), start=time.monotonic())
    with contextlib.ExitStack() as stack:
        _offer(stack.enter_context(FakeKubelet(folder / SOCKET)), node)
        simulated = pids(node.driver.read(time.monotonic()))
        real = {pid: stack.enter_context(_process()) for pid in simulated}
        _show(FakeProcfs(folder / PROCFS), node, real)
        while True:
            write(folder / STATE, from_reading(_renumbered(node.driver.read(time.monotonic()), real)))
            print("ready", flush=True)
            if select.select([sys.stdin], [], [], 1.0)[0]:
                return


@contextlib.contextmanager
def _process() -> Iterator[int]:
    process = subprocess.Popen(["sleep", _LONGEST])
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait()


def _offer(kubelet: FakeKubelet, node: SimSources) -> None:
    answer = node.kubelet.read(time.monotonic())
    for each in answer.items:
        kubelet.hold(each.namespace, each.pod, each.container, each.resource, _spelled(each))
        kubelet.allocatable.devices.add(resource_name=each.resource, device_ids=[_spelled(each)])


def _spelled(allocation: Allocation) -> str:
    if not isinstance(allocation.device, GpuId | MigId):
        raise TypeError(f"{allocation.device}: the synthetic node has whole GPUs and MIG instances only")
    return allocation.device.uuid


def _show(procfs: FakeProcfs, node: SimSources, real: Mapping[int, int]) -> None:
    for pid, facts in node.processes.read(real.keys()).items():
        pod = facts.pods[0]
        procfs.put_in_pod(real[pid], facts.command, pod.pod_uid, pod.container_id or "")


def _renumbered(reading: DriverReading, real: Mapping[int, int]) -> DriverReading:
    return replace(reading, devices={uuid: _with_pids(use, real) for uuid, use in reading.devices.items()})


def _with_pids(use: DeviceUse, real: Mapping[int, int]) -> DeviceUse:
    if isinstance(use.processes, Missing):
        return use
    return replace(use, processes=tuple(replace(each, pid=real[each.pid]) for each in use.processes))


if __name__ == "__main__":
    serve(Path(sys.argv[1]), int(sys.argv[2]))
