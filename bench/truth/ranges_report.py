"""The ranges of the reported figures. No constant of the judge was chosen by looking at worlds of this set."""

from __future__ import annotations

from bench.truth.worlds import Ranges

SEED = 8_000_000
RANGES = Ranges(
    tenants=(2, 3, 3, 4, 4, 5, 6),
    replicas=(2, 3, 4, 4, 5, 6, 8),
    processes=(1, 1, 1, 2, 3, 4),
    kinds=(("backlogged", 0.30), ("closed", 0.38), ("open", 0.25), ("idle", 0.07)),
    duty=(0.05, 0.95),
    log_closed_burst=(-3.0, -0.3),
    load=(0.03, 0.7),
    log_open_burst=(-3.5, -0.7),
    steady=0.4,
    phased=0.15,
    log_phase=(0.7, 1.6),
    shifting=0.15,
    log_shift=(-0.7, 0.7),
    changing=0.6,
    starting=0.4,
    stopping=0.1,
    rogue=0.15,
    declared=0.15,
    quantum=(0.001, 0.005),
    switch=(0.0, 0.05),
    periods=(1 / 6, 0.25, 0.5, 1.0, 1.0),
    noise=(0.0, 0.006),
    late=(0.0, 0.03),
    absent=(0.0, 0.01),
    silent=(0.0, 0.03),
)
