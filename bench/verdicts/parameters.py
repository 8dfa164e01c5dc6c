"""What random worlds are drawn from. Two sets with other seeds and other ranges: what is tuned on one is reported on the other."""

from __future__ import annotations

from dataclasses import dataclass

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """How the driver's readings differ from the physics; chances are per reading and device."""

    hidden: float  # a process that runs is not in the list
    late: float  # activity is that of the reading before
    unread: float  # one value is missing
    percent: bool  # activity comes in whole percents


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Ranges of a world. Times in seconds, shares as parts of 1, rates as the mean number of such things in a world."""

    name: str
    seed: int  # the first; each world adds its number
    seconds: int
    gpus: tuple[int, int]
    boards: tuple[str, ...]
    replicas: tuple[int, ...]
    burst: Range
    busy: Range  # part of the time that a bursty tenant works when it is alone
    intensity: Range
    hog_processes: tuple[int, ...]
    latecomers: float  # part of the pods that are born or end while the world runs
    brief: Range
    lasting: Range
    clock_ratio: Range
    cap: Range  # a lowered power limit, of the board's own
    inlet: Range  # degrees
    throttles: float
    caps: float
    coolings: float
    rogues: float
    hosts: float
    allowed: float
    hogs: float
    wrong_profiles: float
    oversubscribed: float
    losses: float
    xids: float
    ecc: float
    reshapes: float
    faults: float
    skipped_ticks: float  # chance of a tick that comes late
    noise: Noise


TUNING = Parameters(
    name="tuning",
    seed=1_000_000,
    seconds=150,
    gpus=(1, 2),
    boards=("H100-SXM-80GB", "H200-SXM-141GB", "L40S-48GB"),
    replicas=(2, 3, 4),
    burst=(0.004, 0.15),
    busy=(0.05, 0.9),
    intensity=(0.5, 1.0),
    hog_processes=(3,),
    latecomers=0.2,
    brief=(1.0, 3.0),
    lasting=(12.0, 50.0),
    clock_ratio=(0.2, 0.8),
    cap=(0.25, 0.8),
    inlet=(45.0, 75.0),
    throttles=1.5,
    caps=0.5,
    coolings=0.3,
    rogues=0.4,
    hosts=0.3,
    allowed=0.4,
    hogs=0.6,
    wrong_profiles=0.4,
    oversubscribed=0.2,
    losses=0.25,
    xids=0.5,
    ecc=0.3,
    reshapes=0.3,
    faults=0.4,
    skipped_ticks=0.01,
    noise=Noise(hidden=0.003, late=0.02, unread=0.002, percent=True),
)

REPORTING = Parameters(
    name="reporting",
    seed=23_000_000,
    seconds=200,
    gpus=(1, 3),
    boards=(
        "H100-SXM-80GB",
        "H100-PCIe-80GB",
        "A100-SXM-80GB",
        "A100-SXM-40GB",
        "L4-24GB",
        "T4-16GB",
        "H200-SXM-141GB",
    ),
    replicas=(2, 4, 5, 7, 10),
    burst=(0.002, 0.3),
    busy=(0.03, 0.97),
    intensity=(0.35, 1.1),
    hog_processes=(2, 4, 5),
    latecomers=0.35,
    brief=(0.7, 4.0),
    lasting=(8.0, 90.0),
    clock_ratio=(0.15, 0.9),
    cap=(0.2, 0.9),
    inlet=(40.0, 80.0),
    throttles=1.2,
    caps=0.7,
    coolings=0.4,
    rogues=0.5,
    hosts=0.4,
    allowed=0.5,
    hogs=0.8,
    wrong_profiles=0.5,
    oversubscribed=0.3,
    losses=0.3,
    xids=0.6,
    ecc=0.4,
    reshapes=0.4,
    faults=0.5,
    skipped_ticks=0.015,
    noise=Noise(hidden=0.005, late=0.04, unread=0.003, percent=True),
)

SETS = {each.name: each for each in (TUNING, REPORTING)}
