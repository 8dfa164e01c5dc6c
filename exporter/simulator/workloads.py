"""The part of a scenario file that says who runs on the node: pods, containers, processes and their demand."""

from __future__ import annotations

import re

from exporter.simulator.spec import (
    BACKLOGGED,
    FOREVER,
    IDLE,
    Ask,
    ClaimSpec,
    ContainerSpec,
    Demand,
    DemandKind,
    DeviceRef,
    HostProcess,
    Phase,
    PodSpec,
    ProcessSpec,
)
from exporter.simulator.tables import Table

_REF = re.compile(r"(?P<gpu>[a-z0-9][a-z0-9-]*)(?:/(?P<instance>[0-9]{1,3}))?(?:::(?P<replica>[0-9]{1,3}))?")
_MEBIBYTE = 1 << 20
_GIBIBYTE = 1 << 30
_NOWHERE = DeviceRef("")

_MIN_BURST_MS = 0.05
"""Shorter bursts cost more to simulate than they tell; kernels are launched in batches."""


def parse_pod(table: Table) -> PodSpec:
    """Read one `[[pod]]`."""
    kind, separator, workload = table.text("workload", "Pod/").partition("/")
    if not separator:
        table.fault("workload", "expected KIND/NAME, such as Deployment/ranker")
    name = table.text("name")
    born = table.number("born", 0.0, least=0.0)
    pod = PodSpec(
        namespace=table.text("namespace"),
        name=name,
        workload_kind=kind,
        workload=workload or name,
        born=born,
        completed=table.number("completed", FOREVER, least=born),
        deleted=table.number("deleted", FOREVER, least=born),
        containers=tuple(_container(each) for each in table.tables("container")),
    )
    names = [each.name for each in pod.containers]
    if not names:
        table.fault("container", "a pod has at least one container")
    if len(set(names)) < len(names):
        table.fault("container", "two containers of a pod have the same name")
    table.end()
    return pod


def parse_host(table: Table) -> HostProcess:
    """Read one `[[host]]`: a process of no pod."""
    born = table.number("born", 0.0, least=0.0)
    ended = table.number("ended", FOREVER, least=born)
    process = _process(table, None)
    table.end()
    return HostProcess(process, born, ended)


def parse_claim(table: Table) -> ClaimSpec:
    """Read one `[[claim]]`."""
    claim = ClaimSpec(
        namespace=table.text("namespace"),
        name=table.text("name"),
        dynamic=table.flag("dynamic"),
        admin=table.flag("admin"),
    )
    table.end()
    return claim


def _container(table: Table) -> ContainerSpec:
    holds = tuple(_ref(table, "holds", text) for text in table.texts("holds"))
    container = ContainerSpec(
        name=table.text("name"),
        resource=table.text("resource", ""),
        ask=Ask(
            cores=table.whole("cores", 0, most=100),
            memory_bytes=table.whole("memory_mib", 0) * _MEBIBYTE,
            fraction=table.number("fraction", 0.0, least=0.0, most=1.0),
            hook=table.flag("hook", default=True),
            claim=table.text("claim", ""),
        ),
        holds=holds,
        processes=tuple(
            process for each in table.tables("process") for process in _counted(each, holds[0] if holds else None)
        ),
    )
    table.end()
    return container


def _counted(table: Table, default: DeviceRef | None) -> tuple[ProcessSpec, ...]:
    processes = (_process(table, default),) * table.whole("count", 1, least=1, most=64)
    table.end()
    return processes


def _process(table: Table, default: DeviceRef | None) -> ProcessSpec:
    if default is None or table.has("on"):
        default = _ref(table, "on", table.text("on"))
    memory = round(table.number("memory_gib", least=0.0, most=1024.0) * _GIBIBYTE)
    phases = [Phase(0.0, _demand(table), memory)]
    for each in table.tables("phase"):
        at = each.number("at", least=0.0)
        if at <= phases[-1].at:
            each.fault("at", f"phases are in order of time: {at:g} is not after {phases[-1].at:g}")
        size = round(each.number("memory_gib", phases[-1].memory_bytes / _GIBIBYTE, least=0.0, most=1024.0) * _GIBIBYTE)
        phases.append(Phase(at, _demand(each), size))
        each.end()
    return ProcessSpec(
        command=table.text("command"),
        device=DeviceRef(default.gpu, default.instance),
        phases=tuple(phases),
        intensity=table.number("intensity", 0.8, least=0.0, most=2.0),
        sm=table.number("sm", 0.95, least=0.0, most=1.0),
        tensor=table.number("tensor", 0.45, least=0.0, most=1.0),
        bandwidth=table.number("bandwidth", 0.4, least=0.0, most=1.0),
    )


def _demand(table: Table) -> Demand:
    kind = table.choice("demand", DemandKind)
    if kind is DemandKind.IDLE:
        return IDLE
    if kind is DemandKind.BACKLOGGED:
        return BACKLOGGED
    burst = table.number("burst_ms", least=_MIN_BURST_MS, most=1e6) / 1e3
    if kind is DemandKind.CLOSED:
        return Demand(kind=kind, burst=burst, think=table.number("think_ms", least=0.0, most=1e7) / 1e3)
    return Demand(kind=kind, burst=burst, load=table.number("load", least=1e-4, most=10.0))


def _ref(table: Table, key: str, text: str) -> DeviceRef:
    found = _REF.fullmatch(text)
    if found is None:
        table.fault(key, f"expected GPU, GPU/INSTANCE or either with ::SLOT, found {text!r}")
        return _NOWHERE
    instance, replica = found["instance"], found["replica"]
    return DeviceRef(
        found["gpu"], None if instance is None else int(instance), None if replica is None else int(replica)
    )
