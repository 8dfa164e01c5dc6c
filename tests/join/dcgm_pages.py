"""A page's readings as the join gets them, and an A100 to read them of."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from exporter.dcgm.reading import DcgmDevice, DcgmGpu, DcgmReading
from exporter.model import Gpu, Reading
from tests.join.worlds import gpu, gpu_id, instance

NOW = 1000.0


def ampere(number: int, *instances: Any) -> Gpu:
    return replace(gpu(number, instances), architecture="ampere", model="NVIDIA A100-SXM4-80GB")


def row(gi: int | None, engine: Reading = 0.5, profile: str = "1g.10gb", **more: Any) -> DcgmDevice:
    told: dict[str, Any] = {
        "engine_least": engine,
        "engine_most": engine,
        "sm": 0.4,
        "tensor": 0.3,
        "bandwidth": 0.2,
    } | more
    return DcgmDevice(gpu_instance=gi, profile="" if gi is None else profile, engine=engine, **told)


def page(*rows: DcgmDevice, number: int = 1, seen: float = NOW - 20, **more: Any) -> DcgmReading:
    told = DcgmGpu(first_after=seen - 75, after=seen - 15, seen=seen, interval=30.0, devices=rows)
    return DcgmReading(serial=1, gpus={gpu_id(number): told}, **more)


TWO = ampere(1, instance(1, 1), instance(2, 2))
