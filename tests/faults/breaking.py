"""How each live row of the table is brought about on the node, and undone: a context manager for each fault's name."""

from __future__ import annotations

import math
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import replace

import grpc

from tests.e2e.node import H100, L40S
from tests.fake_nvml.state import GPM_SM, Code, FakeDriver, FakeMemory, FakeProcess, Fault
from tests.faults.node import SHARED, Node, driver
from tests.nvml.nodes import MIB

Break = Callable[[Node], AbstractContextManager[None]]


def _driver(state: FakeDriver) -> Break:
    @contextmanager
    def broken(node: Node) -> Iterator[None]:
        node.becomes(state)
        yield
        node.becomes(driver())

    return broken


def _garbage() -> FakeDriver:
    """Numbers that no board can have: memory that does not add up, a process above its board, ratios above one, NaN."""
    found = driver()
    absurd = FakeMemory(total=46068 * MIB, used=1 << 62, free=1 << 62)
    liar = (FakeProcess(pid=4002, memory_bytes=(1 << 63) - 1, sm=4_000_000),)
    found = found.changed(L40S, memory=absurd, processes=liar, utilisation=4_000_000, power_mw=4_000_000_000)
    found = found.changed(SHARED, memory=absurd, utilisation=4_000_000)
    instances = tuple(replace(each, gpm={GPM_SM: math.nan}) for each in found.gpus[0].instances)
    return found.changed(H100, instances=instances, temperature=4_000_000)


@contextmanager
def _kubelet_gone(node: Node) -> Iterator[None]:
    node.rig.kubelet.stop()
    yield
    node.rig.kubelet.start()


@contextmanager
def _kubelet_hangs(node: Node) -> Iterator[None]:
    node.rig.kubelet.hangs = {"List"}
    yield
    node.rig.kubelet.hangs = set()
    node.rig.kubelet.restart()  # the call that hangs ends with it


@contextmanager
def _kubelet_refuses(node: Node) -> Iterator[None]:
    node.rig.kubelet.refuses = {"List": (grpc.StatusCode.RESOURCE_EXHAUSTED, "rejected by rate limit")}
    yield
    node.rig.kubelet.refuses = {}


@contextmanager
def _kubelet_garbage(node: Node) -> Iterator[None]:
    """Something listens on the socket that speaks no HTTP/2."""
    node.rig.kubelet.stop()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(node.rig.kubelet.socket))
        server.listen()
        talking = threading.Thread(target=_talk, args=(server,), daemon=True)
        talking.start()
        yield
        server.shutdown(socket.SHUT_RDWR)
        talking.join()
    node.rig.kubelet.socket.unlink()
    node.rig.kubelet.start()


def _talk(server: socket.socket) -> None:
    with suppress(OSError):
        while True:
            client, _ = server.accept()
            with client, suppress(OSError):
                client.sendall(b"\x00\xff<html>I am a proxy</html>" * 100)


@contextmanager
def _api_gone(node: Node) -> Iterator[None]:
    node.rig.api.stop()
    yield
    node.rig.api.start()


@contextmanager
def _api_silent(node: Node) -> Iterator[None]:
    """Gone, and for its watch seven minutes have passed."""
    with _api_gone(node):
        node.pods.passed = 420.0
        yield
        node.pods.passed = 0.0


@contextmanager
def _api_forgets(node: Node) -> Iterator[None]:
    node.rig.api.stop()
    node.rig.api.compact()
    yield
    node.rig.api.start()


@contextmanager
def _api_garbage(node: Node) -> Iterator[None]:
    """An event that is no JSON, and then a proxy's error page for every request."""
    node.rig.api.refuse = dict.fromkeys(("list", "watch", "get"), (502, "<html>Bad Gateway</html>"))
    node.rig.api.send(b"\x00\xff not an event\n")
    yield
    node.rig.api.refuse = {}


@contextmanager
def _procfs_gone(node: Node) -> Iterator[None]:
    root = node.rig.procfs.root
    away = root.with_name("proc.away")
    root.rename(away)
    yield
    away.rename(root)


@contextmanager
def _procfs_garbage(node: Node) -> Iterator[None]:
    stats = list(node.rig.procfs.root.glob("[0-9]*/stat"))
    before = {path: path.read_bytes() for path in stats}
    for path in stats:
        path.write_bytes(b"\xff\x00(((( not a process")
    yield
    for path, text in before.items():
        path.write_bytes(text)


@contextmanager
def _other_pids(node: Node) -> Iterator[None]:
    root = node.rig.procfs.root
    pids = [path.name for path in root.iterdir() if path.name.isdecimal()]
    for pid in pids:
        (root / pid).rename(root / f"{pid}9")
    yield
    for pid in pids:
        (root / f"{pid}9").rename(root / pid)


def _jumps(seconds: float, *, samples: float = 0.0) -> Break:
    """Set the clock; the driver stamps its samples with it. `samples` moves their stamps against it."""

    @contextmanager
    def jumped(node: Node) -> Iterator[None]:
        node.jumped += seconds
        stamp = round((node.wall() + samples) * 1e6)
        found = driver()
        for gpu in found.gpus:
            stamped = tuple(replace(each, sampled_at_us=stamp) for each in gpu.processes)  # type: ignore[union-attr]
            found = found.changed(gpu.uuid, processes=stamped)
        node.becomes(found)
        yield
        node.jumped -= seconds
        node.becomes(driver())

    return jumped


BREAKS: Mapping[str, Break] = {
    "a call hangs": _driver(driver(Fault(call="nvmlDeviceGetPowerUsage", hang=True))),
    "a read is slower than its deadline": _driver(driver(Fault(call="nvmlDeviceGetPowerUsage", delay_us=100_000))),
    "one call fails on every device": _driver(driver(Fault(call="nvmlDeviceGetMemoryInfo_v2", code=Code.UNKNOWN))),
    "the process lists are refused": _driver(
        driver(Fault(call="nvmlDeviceGetComputeRunningProcesses_v3", code=Code.NO_PERMISSION))
    ),
    "absurd numbers": _driver(_garbage()),
    "a GPU falls off the bus": _driver(driver().changed(H100, lost=Code.GPU_IS_LOST)),
    "unloaded, and loaded again": _driver(
        driver(Fault(call="nvmlDeviceGetCount_v2", code=Code.UNINITIALIZED), init=Code.DRIVER_NOT_LOADED)
    ),
    "the socket is gone": _kubelet_gone,
    "it takes calls and does not answer": _kubelet_hangs,
    "it refuses calls": _kubelet_refuses,
    "silent for longer than its answer is good for": _kubelet_gone,
    "something else listens on its socket": _kubelet_garbage,
    "gone and back": _api_gone,
    "silent for longer than its watch is believed": _api_silent,
    "gone, and back without its history": _api_forgets,
    "garbage in the watch, then a proxy's errors": _api_garbage,
    "the mount is gone": _procfs_gone,
    "files that are no procfs": _procfs_garbage,
    "another pid namespace": _other_pids,
    "the wall clock jumps an hour ahead": _jumps(3600),
    "the wall clock jumps an hour back": _jumps(-3600),
    "it jumps back, and the driver still has samples from before": _jumps(-3600, samples=3600),
}
