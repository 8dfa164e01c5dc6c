"""The fields of DCGM that are known by name: every spelling, the factor to the base unit, whose value it is, what kind it is.

The page's own TYPE and HELP decide nothing: they are whatever the exporter's CSV says. Names compare without regard to case.
One field has up to three spellings: that of DCGM 4.6, the older one, and the exporter's 1.x name.

Sources: NVIDIA/DCGM dcgmlib/dcgm_fields.h and dcgm_fields.cpp (4.6, entity levels); NVIDIA/dcgm-exporter etc/*.csv. Two names
lie: GPU_UTIL_RATIO is a percentage still, and NVLINK_BANDWIDTH_TOTAL is a rate, in thousands of KiB a second
(DcgmCacheManager.cpp). Violations are nanoseconds in every version, whatever old headers say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Scope(Enum):
    """Whose value it is: a GPU-wide one stands on the rows of instances too, and is the parent's there."""

    GPU = "gpu"
    INSTANCE = "instance"


class Kind(Enum):
    """What a number of it can be."""

    GAUGE = "gauge"
    COUNTER = "counter"
    RATE = "rate"
    MIB = "mib"
    PERCENT = "percent"  # 0 to 100 on the page
    RATIO = "ratio"  # 0 to 1 on the page
    CODE = "code"
    FLAG = "flag"
    BITMASK = "bitmask"


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """A field. `factor` makes the page's number one of the base unit; up to `usual` a number needs no second look."""

    key: str
    number: int
    factor: float
    scope: Scope
    kind: Kind
    usual: float


_USUAL = {Kind.RATIO: 1.0, Kind.PERCENT: 100.0}
_BELOW_BLANKS = 2147483631.0
"""The least of what DCGM prints for "no value" is one more."""


ENGINE, SM, TENSOR, DRAM = "gr_engine_active_ratio", "sm_active_ratio", "tensor_active_ratio", "dram_active_ratio"
ACTIVITY = (ENGINE, SM, TENSOR, DRAM)
"""How busy a device was; relative to the device that the row names."""

ENERGY, POWER, POWER_LIMIT, UTILISATION = "energy_joules_total", "power_watts", "power_limit_watts", "gpu_util_ratio"
PROFILED = (*ACTIVITY, "sm_occupancy_ratio", "fp64_active_ratio", "fp32_active_ratio", "fp16_active_ratio")
"""Ratios of the profiling module: none is above 0 on a device that did nothing."""

XID_WINDOW, CLOCK_WINDOW = "xid_errors_in_window", "clock_events_in_window"
WINDOWS: Mapping[str, tuple[str, str]] = {
    "dcgm_exp_xid_errors_count": (XID_WINDOW, "xid"),
    "dcgm_exp_clock_events_count": (CLOCK_WINDOW, "clock_event"),
}
"""The exporter's own counts of events in a window: what each is here, and the label that tells its rows apart."""

_TABLE = """
sm_clock_hertz                     100  1e6       gpu       gauge    DEV_SM_CLOCK dcgm_sm_clock
memory_clock_hertz                 101  1e6       gpu       gauge    DEV_MEM_CLOCK dcgm_memory_clock
clock_event_reasons                112  1         gpu       bitmask  DEV_CLOCKS_EVENT_REASONS DEV_CLOCK_THROTTLE_REASONS
memory_temperature_celsius         140  1         gpu       gauge    DEV_MEMORY_TEMP_CELSIUS DEV_MEMORY_TEMP dcgm_memory_temp
temperature_celsius                150  1         gpu       gauge    DEV_GPU_TEMP_CELSIUS DEV_GPU_TEMP dcgm_gpu_temp
power_watts                        155  1         gpu       gauge    DEV_BOARD_POWER_WATTS DEV_POWER_USAGE dcgm_power_usage
energy_joules_total                156  1e-3      gpu       counter  DEV_TOTAL_ENERGY_CONSUMPTION dcgm_total_energy_consumption
power_instant_watts                157  1         gpu       gauge    DEV_BOARD_POWER_RAW_WATTS DEV_POWER_USAGE_INSTANT
power_limit_requested_watts        160  1         gpu       gauge    DEV_BOARD_POWER_LIMIT_REQUESTED_WATTS DEV_POWER_MGMT_LIMIT
power_limit_watts                  164  1         gpu       gauge    DEV_BOARD_POWER_LIMIT_ENFORCED_WATTS DEV_ENFORCED_POWER_LIMIT
pcie_replay_total                  202  1         gpu       counter  DEV_PCIE_REPLAY_TOTAL DEV_PCIE_REPLAY_COUNTER dcgm_pcie_replay_counter
gpu_util_ratio                     203  1e-2      gpu       percent  DEV_GPU_UTIL_RATIO DEV_GPU_UTIL dcgm_gpu_utilization
mem_copy_util_ratio                204  1e-2      gpu       percent  DEV_MEM_COPY_UTIL dcgm_mem_copy_utilization
enc_util_ratio                     206  1e-2      gpu       percent  DEV_ENC_UTIL dcgm_enc_utilization
dec_util_ratio                     207  1e-2      gpu       percent  DEV_DEC_UTIL dcgm_dec_utilization
xid_last                           230  1         instance  code     DEV_XID_ERROR DEV_XID_ERRORS dcgm_xid_errors
power_violation_seconds_total      240  1e-9      gpu       counter  DEV_POWER_VIOLATION dcgm_power_violation
thermal_violation_seconds_total    241  1e-9      gpu       counter  DEV_THERMAL_VIOLATION dcgm_thermal_violation
fb_total_bytes                     250  1048576   instance  mib      DEV_FB_TOTAL
fb_free_bytes                      251  1048576   instance  mib      DEV_FB_FREE dcgm_fb_free
fb_used_bytes                      252  1048576   instance  mib      DEV_FB_USED dcgm_fb_used
fb_reserved_bytes                  253  1048576   instance  mib      DEV_FB_RESERVED
fb_used_ratio                      254  1         instance  ratio    DEV_FB_USED_RATIO DEV_FB_USED_PERCENT
ecc_corrected_volatile_total       310  1         gpu       counter  DEV_ECC_SBE_VOL_TOTAL
ecc_uncorrected_volatile_total     311  1         gpu       counter  DEV_ECC_DBE_VOL_TOTAL
row_remap_uncorrectable_total      393  1         gpu       counter  DEV_ROW_REMAP_UNCORRECTABLE_TOTAL DEV_UNCORRECTABLE_REMAPPED_ROWS
row_remap_correctable_total        394  1         gpu       counter  DEV_ROW_REMAP_CORRECTABLE_TOTAL DEV_CORRECTABLE_REMAPPED_ROWS
row_remap_failed                   395  1         gpu       flag     DEV_ROW_REMAP_FAILED DEV_ROW_REMAP_FAILURE
nvlink_bandwidth_bytes_per_second  449  1024000   gpu       rate     DEV_NVLINK_THROUGHPUT_TOTAL DEV_NVLINK_BANDWIDTH_TOTAL dcgm_nvlink_bandwidth_total
vgpu_license_status                526  1         gpu       flag     DEV_VGPU_LICENSE_STATUS
gr_engine_active_ratio             1001 1         instance  ratio    PROF_GR_ENGINE_UTIL_RATIO PROF_GR_ENGINE_ACTIVE
sm_active_ratio                    1002 1         instance  ratio    PROF_SM_UTIL_RATIO PROF_SM_ACTIVE
sm_occupancy_ratio                 1003 1         instance  ratio    PROF_SM_OCCUPANCY_RATIO PROF_SM_OCCUPANCY
tensor_active_ratio                1004 1         instance  ratio    PROF_TENSOR_UTIL_RATIO PROF_PIPE_TENSOR_ACTIVE
dram_active_ratio                  1005 1         instance  ratio    PROF_DRAM_UTIL_RATIO PROF_DRAM_ACTIVE
fp64_active_ratio                  1006 1         instance  ratio    PROF_FP64_UTIL_RATIO PROF_PIPE_FP64_ACTIVE
fp32_active_ratio                  1007 1         instance  ratio    PROF_FP32_UTIL_RATIO PROF_PIPE_FP32_ACTIVE
fp16_active_ratio                  1008 1         instance  ratio    PROF_FP16_UTIL_RATIO PROF_PIPE_FP16_ACTIVE
pcie_tx_bytes_per_second           1009 1         gpu       rate     PROF_PCIE_TX_BYTES
pcie_rx_bytes_per_second           1010 1         gpu       rate     PROF_PCIE_RX_BYTES
sm_cycles_elapsed_total            1084 1         gpu       counter  PROF_SM_CYCLES_ELAPSED_TOTAL
sm_cycles_active_total             1085 1         gpu       counter  PROF_SM_CYCLES_ACTIVE_TOTAL
"""
"""Key, DCGM's field id, factor, scope, kind, spellings; `DCGM_FI_` goes before those in capitals."""


def _rows() -> Mapping[str, Field]:
    known: dict[str, Field] = {}
    for line in _TABLE.strip().splitlines():
        key, number, factor, scope, kind, *names = line.split()
        field = Field(key, int(number), float(factor), Scope(scope), Kind(kind), _USUAL.get(Kind(kind), _BELOW_BLANKS))
        for name in names:
            spelling = name if name.startswith("dcgm_") else f"DCGM_FI_{name}"
            known[spelling] = known[spelling.lower()] = field
    return known


BY_NAME: Mapping[str, Field] = _rows()
"""Fields by every spelling, as it is printed and in lower case."""
