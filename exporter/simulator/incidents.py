"""The part of a scenario file that says what goes wrong, and when: `[[event]]`."""

from __future__ import annotations

from enum import StrEnum

from exporter.model import Throttle
from exporter.simulator.spec import (
    FOREVER,
    Access,
    Cooling,
    EccError,
    Event,
    Fault,
    Faulty,
    GpuLost,
    MigReshape,
    PowerCap,
    Throttling,
    XidError,
)
from exporter.simulator.tables import Table


class _Kind(StrEnum):
    """The words of `kind`."""

    THROTTLE = "throttle"
    POWER_CAP = "power_cap"
    COOLING = "cooling"
    XID = "xid"
    ECC = "ecc"
    GPU_LOST = "gpu_lost"
    MIG_RESHAPE = "mig_reshape"
    DRIVER_HANG = "driver_hang"
    KUBELET_DOWN = "kubelet_down"
    KUBELET_SLOW = "kubelet_slow"
    API_DOWN = "api_down"
    PERMISSION_LOST = "permission_lost"


def parse_event(table: Table) -> Event:
    """Read one `[[event]]`."""
    event = _event(table)
    table.end()
    return event


def _event(table: Table) -> Event:
    kind = table.choice("kind", _Kind)
    at = table.number("at", least=0.0)
    match kind:
        case _Kind.XID:
            instance = table.whole("instance") if table.has("instance") else None
            return XidError(at=at, gpu=table.text("gpu"), xid=table.whole("xid", least=1, most=999), instance=instance)
        case _Kind.ECC:
            corrected, uncorrected = table.whole("corrected", 0), table.whole("uncorrected", 0)
            return EccError(at=at, gpu=table.text("gpu"), corrected=corrected, uncorrected=uncorrected)
        case _Kind.MIG_RESHAPE:
            destroy, create = table.numbers("destroy"), table.texts("create")
            return MigReshape(at=at, gpu=table.text("gpu"), destroy=destroy, create=create)
        case _:
            return _lasting(table, kind, at)


def _lasting(table: Table, kind: _Kind, at: float) -> Event:
    until = table.number("until", FOREVER, least=at)
    match kind:
        case _Kind.THROTTLE:
            return Throttling(
                at=at,
                until=until,
                gpu=table.text("gpu"),
                reason=table.choice("reason", Throttle),
                clock_ratio=table.number("clock_ratio", least=0.05, most=1.0),
            )
        case _Kind.POWER_CAP:
            return PowerCap(at=at, until=until, gpu=table.text("gpu"), watts=table.number("watts", least=1.0))
        case _Kind.COOLING:
            celsius = table.number("inlet_celsius", least=-20.0, most=120.0)
            return Cooling(at=at, until=until, gpu=table.text("gpu"), inlet_celsius=celsius)
        case _Kind.GPU_LOST:
            return GpuLost(at=at, until=until, gpu=table.text("gpu"))
        case _:
            return _fault(table, Faulty(str(kind)), at, until)


def _fault(table: Table, kind: Faulty, at: float, until: float) -> Fault:
    seconds = table.number("seconds", least=0.0, most=3600.0) if kind is Faulty.KUBELET_SLOW else 0.0
    access = table.choice("of", Access) if kind is Faulty.PERMISSION_LOST else Access.DRIVER
    return Fault(at=at, until=until, kind=kind, seconds=seconds, access=access)
