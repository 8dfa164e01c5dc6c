"""The dcgm-exporter of the simulated node: a page as the real one prints it, read by the real parser.

It collects by its own clock, every `dcgm_seconds` of the scenario, and serves what it collected last. Ratios are means since the
collection before, relative to the instance; a GPU in MIG mode has rows of its instances alone, on which the GPU's own values
stand again; values are not escaped.
"""

from __future__ import annotations

from exporter.dcgm.history import History, reading
from exporter.dcgm.page import parse
from exporter.dcgm.reading import DcgmReading
from exporter.simulator.clock import Clock
from exporter.simulator.hardware import Device, SimGpu
from exporter.simulator.node import SimNode
from exporter.simulator.readings import Activity, Sample, sample

_MHZ = 1e6
_MIB = 1 << 20
_NOTHING = Activity(0.0, 0.0, 0.0, 0.0)


class SimDcgm:
    """The page, and what is remembered of the ones before. Satisfies `base.DcgmSource`."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._before = Sample()
        self._page = render(clock.node, Sample(), sample(clock.node))  # before its first second nothing ran
        self._history = History()
        clock.every(seconds, self._collect)

    def page(self, now: float) -> str:
        """What is served at `now`, monotonic seconds."""
        with self._clock.lock:
            self._clock.advance(now)
            return self._page

    def read(self, now: float) -> DcgmReading:
        """Read the page."""
        told, self._history = reading(parse(self.page(now)), now, self._history)
        return told

    def close(self) -> None:
        """Nothing is open."""

    def _collect(self, node: SimNode) -> None:
        now = sample(node)
        self._page = render(node, self._before, now)
        self._before = now


def render(node: SimNode, before: Sample, now: Sample) -> str:
    """The text of the page whose means are over the time between two samples."""
    lines: list[str] = []
    rows = [
        (_labels(node, gpu, device), _values(gpu, device, before, now))
        for gpu in node.gpus
        if not gpu.lost
        for device in gpu.devices
    ]
    for number, (name, help_text, kind) in enumerate(_FIELDS):
        lines += [f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"]
        lines += [f"{name}{{{labels}}} {values[number]}" for labels, values in rows]
    return "\n".join((*lines, ""))


_FIELDS = (
    ("DCGM_FI_DEV_SM_CLOCK", "SM clock frequency (in MHz).", "gauge"),
    ("DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C).", "gauge"),
    ("DCGM_FI_DEV_POWER_USAGE", "Power draw (in W).", "gauge"),
    ("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "Total energy consumption since boot (in mJ).", "counter"),
    ("DCGM_FI_DEV_FB_USED", "Framebuffer memory used (in MiB).", "gauge"),
    ("DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB).", "gauge"),
    ("DCGM_FI_PROF_GR_ENGINE_ACTIVE", "Ratio of time the graphics engine is active (in %).", "gauge"),
    ("DCGM_FI_PROF_SM_ACTIVE", "The ratio of cycles an SM has at least 1 warp assigned (in %).", "gauge"),
    ("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "Ratio of cycles the tensor (HMMA) pipe is active (in %).", "gauge"),
    ("DCGM_FI_PROF_DRAM_ACTIVE", "Ratio of cycles the device memory interface is active (in %).", "gauge"),
)


def _values(gpu: SimGpu, device: Device, before: Sample, now: Sample) -> tuple[str, ...]:
    """One row's numbers as they are printed, in the order of the fields."""
    climate, memory = gpu.climate, device.memory
    first, last = before.devices.get(device.uuid, _NOTHING), now.devices[device.uuid]
    span = now.at - before.at
    grown = (
        last.busy - first.busy,
        last.sm - first.sm,
        last.tensor - first.tensor,
        last.bandwidth - first.bandwidth,
    )
    return (
        f"{climate.clock / _MHZ:.0f}",
        f"{climate.temperature:.0f}",
        f"{climate.power:f}",
        f"{climate.energy * 1000:.0f}",
        f"{memory.used // _MIB}",
        f"{memory.free // _MIB}",
        *(f"{min(1.0, each / span) if span > 0 else 0.0:f}" for each in grown),
    )


def _labels(node: SimNode, gpu: SimGpu, device: Device) -> str:
    """Labels in the exporter's order; pods are left out, as without its flag --kubernetes."""
    pairs = [
        ("gpu", str(gpu.index)),
        ("UUID", gpu.uuid),
        ("pci_bus_id", f"00000000:{0x17 + gpu.index:02X}:00.0"),
        ("device", f"nvidia{gpu.index}"),
        ("modelName", gpu.spec.board.name),
    ]
    if device.row is not None:
        pairs += [("GPU_I_PROFILE", device.row.profile.name), ("GPU_I_ID", str(device.gpu_instance))]
    pairs += [("Hostname", node.scenario.node), ("DCGM_FI_DRIVER_VERSION", node.scenario.driver)]
    return ",".join(f'{name}="{value}"' for name, value in pairs)
