"""The ranges of the worlds that were looked at while the judge's constants were chosen."""

from __future__ import annotations

from bench.truth.worlds import Ranges

SEED = 1_000
RANGES = Ranges(
    tenants=(2, 3, 4, 5),
    replicas=(2, 3, 4, 6, 7),
    processes=(1, 1, 2, 2, 3),
    kinds=(("backlogged", 0.28), ("closed", 0.40), ("open", 0.24), ("idle", 0.08)),
    duty=(0.10, 0.90),
    log_closed_burst=(-3.3, -0.5),
    load=(0.05, 0.6),
    log_open_burst=(-3.7, -1.0),
    steady=0.25,
    phased=0.2,
    log_phase=(0.8, 1.5),
    shifting=0.2,
    log_shift=(-0.5, 0.6),
    changing=0.6,
    starting=0.35,
    stopping=0.15,
    rogue=0.2,
    declared=0.2,
    quantum=(0.0015, 0.004),
    switch=(0.0, 0.04),
    periods=(0.2, 0.5, 1.0),
    noise=(0.002, 0.005),
    late=(0.0, 0.02),
    absent=(0.0, 0.01),
    silent=(0.0, 0.02),
)
