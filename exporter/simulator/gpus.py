"""The boards that a scenario can be built from, as data.

Why a table here, when a real node must read profiles from its driver: this module plays the driver. SM counts and
memory of MIG profiles come from captures and `nvidia-smi mig -lgip` listings, drift with the driver version and are no
slices times a constant (an H100 SXM has 26 SMs in `1g.20gb` and 60 in `3g.40gb`). Rows that no listing shows are left
out rather than computed. Idle power, thermal resistance and idle clock are plausible where no capture shows them.
"""

from __future__ import annotations

from dataclasses import dataclass

from exporter.model import Profile

MIB = 1 << 20
MEGAHERTZ = 1e6


@dataclass(frozen=True, slots=True)
class MigRow:
    """A profile and how many of the board's memory slices it occupies."""

    profile: Profile
    memory_slices: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """A GPU model. Memory in bytes, clocks in hertz, power in watts, temperatures in °C."""

    name: str  # as NVML prints it
    architecture: str
    memory_bytes: int
    reserved_bytes: int  # of the driver and firmware; nvmlMemory_v2_t.reserved
    sm_count: int  # of the chip, outside MIG
    clock_max: float
    clock_idle: float
    power_limit: float
    power_idle: float
    celsius_per_watt: float  # steady rise above the inlet
    slowdown_celsius: float
    gpm: bool  # nvmlGpm*: Hopper and newer
    compute_slices: int = 0  # 0: a board without MIG
    memory_slices: int = 0
    rows: tuple[MigRow, ...] = ()

    def row(self, profile: str) -> MigRow | None:
        """Return the MIG profile of this name, None when the board has no such profile."""
        return next((row for row in self.rows if row.profile.name == profile), None)

    @property
    def full_sm_count(self) -> int:
        """SMs of the full-board MIG profile where there is one (98 of an A100's 108), else of the chip."""
        return max((row.profile.sm_count for row in self.rows), default=self.sm_count)


def _rows(*rows: tuple[str, int, int, int, int, int]) -> tuple[MigRow, ...]:
    """Build rows from (name, profile id, compute slices, memory slices, SMs, MiB)."""
    return tuple(
        MigRow(
            Profile(name=name, profile_id=number, slices=compute, sm_count=sms, memory_bytes=mebibytes * MIB), memory
        )
        for name, number, compute, memory, sms, mebibytes in rows
    )


H100_SXM = Board(
    name="NVIDIA H100 80GB HBM3",
    architecture="hopper",
    memory_bytes=81559 * MIB,
    reserved_bytes=479 * MIB,
    sm_count=132,
    clock_max=1980 * MEGAHERTZ,
    clock_idle=345 * MEGAHERTZ,
    power_limit=700.0,
    power_idle=72.0,
    celsius_per_watt=0.045,
    slowdown_celsius=87.0,
    gpm=True,
    compute_slices=7,
    memory_slices=8,
    rows=_rows(
        ("1g.10gb", 19, 1, 1, 16, 9984),
        ("1g.10gb+me", 20, 1, 1, 16, 9984),
        ("1g.20gb", 15, 1, 2, 26, 20096),
        ("2g.20gb", 14, 2, 2, 32, 20096),
        ("3g.40gb", 9, 3, 4, 60, 40448),
        ("4g.40gb", 5, 4, 4, 64, 40448),
        ("7g.80gb", 0, 7, 8, 132, 81152),
    ),
)

H100_PCIE = Board(
    name="NVIDIA H100 PCIe",
    architecture="hopper",
    memory_bytes=81559 * MIB,
    reserved_bytes=479 * MIB,
    sm_count=114,
    clock_max=1755 * MEGAHERTZ,
    clock_idle=345 * MEGAHERTZ,
    power_limit=350.0,
    power_idle=50.0,
    celsius_per_watt=0.12,
    slowdown_celsius=87.0,
    gpm=True,
    compute_slices=7,
    memory_slices=8,
    rows=_rows(
        ("1g.20gb", 15, 1, 2, 14, 20096),
        ("2g.20gb", 14, 2, 2, 30, 20096),
        ("3g.40gb", 9, 3, 4, 46, 40448),
        ("4g.40gb", 5, 4, 4, 62, 40448),
        ("7g.80gb", 0, 7, 8, 114, 81152),
    ),
)

H200 = Board(
    name="NVIDIA H200",
    architecture="hopper",
    memory_bytes=143771 * MIB,
    reserved_bytes=614 * MIB,
    sm_count=132,
    clock_max=1980 * MEGAHERTZ,
    clock_idle=345 * MEGAHERTZ,
    power_limit=700.0,
    power_idle=77.0,
    celsius_per_watt=0.04,
    slowdown_celsius=87.0,
    gpm=True,
    compute_slices=7,
    memory_slices=8,
    rows=_rows(
        ("1g.18gb", 19, 1, 1, 16, 16384),
        ("1g.18gb+me", 20, 1, 1, 16, 16384),
        ("1g.35gb", 15, 1, 2, 26, 33280),
        ("2g.35gb", 14, 2, 2, 32, 33280),
        ("3g.71gb", 9, 3, 4, 60, 71424),
        ("4g.71gb", 5, 4, 4, 64, 71424),
        ("7g.141gb", 0, 7, 8, 132, 143360),
    ),
)

A100_40GB = Board(
    name="NVIDIA A100-SXM4-40GB",
    architecture="ampere",
    memory_bytes=40960 * MIB,
    reserved_bytes=444 * MIB,
    sm_count=108,
    clock_max=1410 * MEGAHERTZ,
    clock_idle=210 * MEGAHERTZ,
    power_limit=400.0,
    power_idle=52.0,
    celsius_per_watt=0.09,
    slowdown_celsius=87.0,
    gpm=False,
    compute_slices=7,
    memory_slices=8,
    rows=_rows(
        ("1g.5gb", 19, 1, 1, 14, 4864),
        ("1g.5gb+me", 20, 1, 1, 14, 4864),
        ("1g.10gb", 15, 1, 2, 14, 9856),
        ("2g.10gb", 14, 2, 2, 28, 9856),
        ("3g.20gb", 9, 3, 4, 42, 19968),
        ("4g.20gb", 5, 4, 4, 56, 19968),
        ("7g.40gb", 0, 7, 8, 98, 40192),
    ),
)

A100_80GB = Board(
    name="NVIDIA A100-SXM4-80GB",
    architecture="ampere",
    memory_bytes=81920 * MIB,
    reserved_bytes=603 * MIB,
    sm_count=108,
    clock_max=1410 * MEGAHERTZ,
    clock_idle=210 * MEGAHERTZ,
    power_limit=400.0,
    power_idle=62.0,
    celsius_per_watt=0.09,
    slowdown_celsius=87.0,
    gpm=False,
    compute_slices=7,
    memory_slices=8,
    rows=_rows(
        ("1g.10gb", 19, 1, 1, 14, 9728),
        ("1g.10gb+me", 20, 1, 1, 14, 9728),
        ("1g.20gb", 15, 1, 2, 14, 19968),
        ("2g.20gb", 14, 2, 2, 28, 19968),
        ("3g.40gb", 9, 3, 4, 42, 40192),
        ("4g.40gb", 5, 4, 4, 56, 40192),
        ("7g.80gb", 0, 7, 8, 98, 80896),
    ),
)

A30 = Board(
    name="NVIDIA A30",
    architecture="ampere",
    memory_bytes=24576 * MIB,
    reserved_bytes=262 * MIB,
    sm_count=56,
    clock_max=1440 * MEGAHERTZ,
    clock_idle=210 * MEGAHERTZ,
    power_limit=165.0,
    power_idle=27.0,
    celsius_per_watt=0.22,
    slowdown_celsius=87.0,
    gpm=False,
    compute_slices=4,
    memory_slices=4,
    rows=_rows(
        ("1g.6gb", 14, 1, 1, 14, 5952),
        ("1g.6gb+me", 21, 1, 1, 14, 5952),
        ("2g.12gb", 5, 2, 2, 28, 11968),
        ("2g.12gb+me", 6, 2, 2, 28, 11968),
        ("4g.24gb", 0, 4, 4, 56, 24000),
    ),
)

L40S = Board(
    name="NVIDIA L40S",
    architecture="ada",
    memory_bytes=46068 * MIB,
    reserved_bytes=597 * MIB,
    sm_count=142,
    clock_max=2520 * MEGAHERTZ,
    clock_idle=210 * MEGAHERTZ,
    power_limit=350.0,
    power_idle=36.0,
    celsius_per_watt=0.13,
    slowdown_celsius=90.0,
    gpm=False,
)

L4 = Board(
    name="NVIDIA L4",
    architecture="ada",
    memory_bytes=23034 * MIB,
    reserved_bytes=442 * MIB,
    sm_count=58,
    clock_max=2040 * MEGAHERTZ,
    clock_idle=210 * MEGAHERTZ,
    power_limit=72.0,
    power_idle=13.0,
    celsius_per_watt=0.6,
    slowdown_celsius=90.0,
    gpm=False,
)

T4 = Board(
    name="Tesla T4",
    architecture="turing",
    memory_bytes=15360 * MIB,
    reserved_bytes=266 * MIB,
    sm_count=40,
    clock_max=1590 * MEGAHERTZ,
    clock_idle=300 * MEGAHERTZ,
    power_limit=70.0,
    power_idle=10.0,
    celsius_per_watt=0.65,
    slowdown_celsius=90.0,
    gpm=False,
)

BOARDS: dict[str, Board] = {
    "H100-SXM-80GB": H100_SXM,
    "H100-PCIe-80GB": H100_PCIE,
    "H200-SXM-141GB": H200,
    "A100-SXM-40GB": A100_40GB,
    "A100-SXM-80GB": A100_80GB,
    "A30-24GB": A30,
    "L40S-48GB": L40S,
    "L4-24GB": L4,
    "T4-16GB": T4,
}
"""Boards by the word that a scenario names them with."""
