"""What goes wrong now and then during a soak: each trouble begins, lasts a while, and ends; then the node is in order again."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from bench.soak.node import Churn
from tests.fake_nvml.state import Code, Fault

Trouble = Callable[[Churn], contextlib.AbstractContextManager[None]]
"""Begins when it is entered, ends when it is left."""

SLOW_CLIENTS = 100


def _fault(name: str, fault: Fault) -> Trouble:
    @contextmanager
    def trouble(node: Churn) -> Iterator[None]:
        node.faults = (fault,)
        try:
            yield
        finally:
            node.faults = ()

    trouble.__name__ = name
    return trouble


@contextmanager
def gpu_lost(node: Churn) -> Iterator[None]:
    """The MIG GPU falls off the bus, and is back."""
    node.lost = Code.GPU_IS_LOST
    try:
        yield
    finally:
        node.lost = 0


@contextmanager
def kubelet_gone(node: Churn) -> Iterator[None]:
    """The kubelet restarts slowly, behind a new inode."""
    node.rig.kubelet.stop()
    try:
        yield
    finally:
        node.rig.kubelet.start()


@contextmanager
def kubelet_hangs(node: Churn) -> Iterator[None]:
    """The kubelet takes calls and does not answer."""
    node.rig.kubelet.hangs = {"List"}
    try:
        yield
    finally:
        node.rig.kubelet.hangs = set()


@contextmanager
def api_server_gone(node: Churn) -> Iterator[None]:
    """The API server is away, and its history with it."""
    node.rig.api.stop()
    try:
        yield
    finally:
        node.rig.api.compact()
        node.rig.api.start()


@contextmanager
def watch_cut(node: Churn) -> Iterator[None]:
    """Every watch breaks within an event."""
    node.rig.api.drop()
    yield


@contextmanager
def procfs_gone(node: Churn) -> Iterator[None]:
    """What is mounted as procfs is none."""
    root = node.rig.procfs.root
    away = root.with_name("proc.away")
    root.rename(away)
    node.rig.procfs.root = away
    try:
        yield
    finally:
        away.rename(root)
        node.rig.procfs.root = root


def slow_clients(address: tuple[str, int]) -> Trouble:
    """Make the trouble of many scrapers that begin a request and never finish it."""

    @contextmanager
    def slow(node: Churn) -> Iterator[None]:
        del node
        with ExitStack() as stack:
            for _ in range(SLOW_CLIENTS):
                client = stack.enter_context(socket.create_connection(address, timeout=5))
                with contextlib.suppress(OSError):  # turned away
                    client.sendall(b"GET /metrics HT")
            yield

    slow.__name__ = "slow_clients"
    return slow


def every(address: tuple[str, int]) -> Sequence[Trouble]:
    """All of them, in the order in which they take turns."""
    return (
        _fault("driver_hangs", Fault(call="nvmlDeviceGetPowerUsage", hang=True)),
        kubelet_gone,
        _fault("driver_refuses_memory", Fault(call="nvmlDeviceGetMemoryInfo_v2", code=Code.UNKNOWN)),
        api_server_gone,
        gpu_lost,
        kubelet_hangs,
        slow_clients(address),
        watch_cut,
        _fault("driver_slow", Fault(call="nvmlDeviceGetTemperature", delay_us=150_000)),
        procfs_gone,
    )
