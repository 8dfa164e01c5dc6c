"""The fake driver's state file: one fact a line, tokens parted by one space, text percent-encoded.

The file is replaced, never written in place, and gets a time stamp of its own, so that the C side sees every change by
its inode or time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from tests.fake_nvml.values import (
    FakeDriver,
    FakeGpu,
    FakeGpuInstance,
    FakeInstance,
    FakeMemory,
    Fault,
    Processes,
    Refused,
    Value,
)

STATE_VARIABLE = "SLICEWATCH_FAKE_NVML_STATE"
"""The environment variable that holds the path of the state file."""


def write(path: Path, state: FakeDriver) -> None:
    """Replace the state file at once. Raises ValueError when the state contradicts itself."""
    text = "\n".join(_lines(state)) + "\n"
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_text(text, encoding="ascii")
    now = time.time_ns()
    os.utime(draft, ns=(now, now))
    draft.replace(path)


def _lines(state: FakeDriver) -> Iterator[str]:
    yield "fake-nvml 1"
    yield f"set driver {_text(state.driver)}"
    yield f"set nvml {_text(state.nvml)}"
    yield f"set profile_prefix {_text(state.profile_prefix)}"
    for key in ("cuda", "privileged", "gpm_window_us", "gpm_on_mig_handles"):
        yield f"set {key} {int(getattr(state, key))}"
    yield f"set init {int(state.faults.init)}"
    yield f"set latency_us {state.faults.latency_us}"
    for fault in state.faults.calls:
        yield _fault(fault)
    last = 0
    for event in state.events:
        if event.sequence <= last:
            raise ValueError(f"event {event.sequence} follows {last}: sequence numbers grow")
        last = event.sequence
        where = f"{event.gpu_instance} {event.compute_instance}"
        yield f"event {event.sequence} {_text(event.gpu)} {where} {event.type} {event.data}"
    for gpu in state.gpus:
        yield from _gpu(gpu)


def _fault(fault: Fault) -> str:
    effects = [f"code {int(fault.code)}"] * bool(fault.code)
    effects += ["hang 0"] * fault.hang
    effects += [f"delay {fault.delay_us}"] * bool(fault.delay_us)
    if len(effects) != 1:
        raise ValueError(f"a fault has one effect: {fault}")
    return f"fault {_text(fault.call)} {_text(fault.device)} {effects[0]}"


_GPU_VALUES = (
    "minor",
    "architecture",
    "cores",
    "mig_current",
    "mig_pending",
    "max_mig_devices",
    "utilisation",
    "memory_utilisation",
    "sm_clock",
    "memory_clock",
    "sm_clock_max",
    "memory_clock_max",
    "power_mw",
    "power_limit_mw",
    "temperature",
    "energy_mj",
    "throttle",
    "ecc_mode",
    "ecc_corrected",
    "ecc_uncorrected",
    "ecc_corrected_sram",
    "ecc_uncorrected_sram",
    "compute_mode",
    "persistence",
    "event_types",
    "gpm_supported",
    "lost",
)


def _gpu(gpu: FakeGpu) -> Iterator[str]:
    _check(gpu)
    yield f"gpu {_text(gpu.uuid)}"
    yield f"set name {_text(gpu.name)}"
    yield f"set pci_bus_id {_text(gpu.pci_bus_id)}"
    for key in _GPU_VALUES:
        yield f"set {key} {_value(getattr(gpu, key))}"
    yield from _several("compute_capability", gpu.compute_capability)
    yield from _several("remapped_rows", gpu.remapped_rows)
    yield from _memory("memory", gpu.memory)
    yield from _memory("bar1", gpu.bar1)
    for number, value in gpu.fields.items():
        yield f"set field.{number} {_value(value)}"
    for row in gpu.profiles:
        numbers = (row.index, row.profile_id, row.slices, row.sm_count, row.memory_mib, row.max_instances, *row.engines)
        yield f"profile {_text(row.name)} {' '.join(map(str, numbers))}"
    yield from _metrics(gpu.gpm)
    yield from _processes(gpu.processes)
    for instance in gpu.gpu_instances:
        yield from _gpu_instance(instance)
    for device in gpu.instances:
        yield from _instance(device)


def _check(gpu: FakeGpu) -> None:
    rows = [row.index for row in gpu.profiles]
    if len(set(rows)) != len(rows):
        raise ValueError(f"{gpu.uuid}: two profiles share an index")
    known = {instance.id for instance in gpu.gpu_instances}
    slots = [device.index for device in gpu.instances]
    if len(known) != len(gpu.gpu_instances) or len(set(slots)) != len(slots):
        raise ValueError(f"{gpu.uuid}: two instances share an id or an index")
    for device in gpu.instances:
        if device.gpu_instance not in known:
            raise ValueError(f"{device.uuid}: no GPU instance {device.gpu_instance} on {gpu.uuid}")
        if device.index >= gpu.max_mig_devices:
            raise ValueError(f"{device.uuid}: index {device.index} is beyond {gpu.max_mig_devices} slots")


def _gpu_instance(instance: FakeGpuInstance) -> Iterator[str]:
    yield f"gi {instance.id}"
    for key in ("profile_id", "start", "size"):
        yield f"set {key} {getattr(instance, key)}"
    yield from _memory("memory", instance.memory)
    yield from _memory("bar1", instance.bar1)
    yield from _metrics(instance.gpm)


def _instance(device: FakeInstance) -> Iterator[str]:
    yield f"mig {_text(device.uuid)} {device.index} {device.gpu_instance} {device.compute_instance}"
    yield f"set profile {_text(device.profile)}"
    yield f"set gi_slices {device.gpu_instance_slices}"
    yield f"set ci_slices {device.compute_instance_slices}"
    for key in ("sm_count", "memory_mib", "ecc_uncorrected_sram"):
        yield f"set {key} {_value(getattr(device, key))}"
    yield from _several("engines", device.engines)
    yield from _metrics(device.gpm)
    yield from _processes(device.processes)


def _memory(name: str, memory: FakeMemory | Refused) -> Iterator[str]:
    if isinstance(memory, Refused):
        yield from _several(name, memory)
    else:
        yield from _several(name, (memory.total, memory.used, memory.left, memory.reserved))


def _several(name: str, values: tuple[int, ...] | Refused) -> Iterator[str]:
    """Numbers that one call answers together: `name.0`, `name.1`, …; a refusal stands on the first."""
    if isinstance(values, Refused):
        yield f"set {name}.0 {_value(values)}"
        return
    for place, value in enumerate(values):
        yield f"set {name}.{place} {value}"


def _metrics(metrics: Mapping[int, float | Refused]) -> Iterator[str]:
    for number, value in metrics.items():
        yield f"gpm {number} {_value(value) if isinstance(value, Refused) else repr(float(value))}"


def _processes(processes: Processes) -> Iterator[str]:
    if isinstance(processes, Refused):
        yield f"set processes {_value(processes)}"
        return
    for process in processes:
        memory = "-" if process.memory_bytes is None else str(process.memory_bytes)
        stamp = "-" if process.sampled_at_us is None else str(process.sampled_at_us)
        yield f"process {process.kind} {process.pid} {memory} {process.sm} {process.mem} {stamp}"


def _value(value: Value) -> str:
    return f"!{int(value.code)}" if isinstance(value, Refused) else str(int(value))


def _text(text: str) -> str:
    """Percent-encode; "-" stands for the empty text."""
    return quote(text, safe="*+:/.,()[]") or "-"
