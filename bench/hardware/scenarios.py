"""Who contends for the GPU, how, and what the one answer is that each world was made to test. Data alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from bench.hardware.demand import Demand, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """A pod with its demand; `holds` False is a process outside all pods, that holds nothing.

    `threads` is the percentage of the SMs' threads that an MPS server lets each of its processes have.
    """

    name: str
    demand: Demand
    holds: bool = True
    threads: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """One world. Each holder is promised 1/`replicas` of the device's time.

    `others` says what a judge that knows everything answers to guarantees other than compute, by (tenant, guarantee):
    outcome and cause. `blind` is why compute cannot be judged in this mode, where it cannot.
    """

    name: str
    question: str
    tenants: tuple[Tenant, ...]
    replicas: int
    sharing: str = "time-slicing"
    fair_memory: bool = False
    others: Mapping[tuple[str, str], tuple[str, str]] = field(default_factory=dict)
    blind: str = ""
    capture: bool = True

    def promised(self, tenant: Tenant) -> float:
        """The share of the device's time that a tenant is promised."""
        return 1.0 / self.replicas if tenant.holds else 0.0


HOG = Demand(kind=Kind.BACKLOGGED)
BURSTY = Demand(kind=Kind.CLOSED, burst=10, think=0.06)
"""20 ms of work, 60 ms of thinking: 25 % alone, 20 % on a dedicated half, 14.3 % on a dedicated quarter."""
LIGHT = Demand(kind=Kind.CLOSED, burst=5, think=0.09)
"""10 ms of work, 90 ms of thinking: 10 % alone."""

SCENARIOS: tuple[Scenario, ...] = (
    Scenario(
        name="alone",
        question="A tenant that has the whole GPU and always wants it: kept, and its own measure is the rate alone.",
        sharing="exclusive",
        replicas=1,
        tenants=(Tenant(name="only", demand=HOG),),
    ),
    Scenario(
        name="equals",
        question="Two that always want, on two slots: half each, kept.",
        replicas=2,
        tenants=(Tenant(name="left", demand=HOG), Tenant(name="right", demand=HOG)),
    ),
    Scenario(
        name="crowd",
        question="One process against three of one pod, on two slots: do turns go by process or by pod?",
        replicas=2,
        tenants=(
            Tenant(name="one", demand=HOG),
            Tenant(name="three", demand=Demand(kind=Kind.BACKLOGGED, processes=3)),
        ),
    ),
    Scenario(
        name="bursty-starved",
        question="A closed loop of 20 ms work and 60 ms thought on a half, against three processes that always want.",
        replicas=2,
        tenants=(
            Tenant(name="bursty", demand=BURSTY),
            Tenant(name="hog", demand=Demand(kind=Kind.BACKLOGGED, processes=3)),
        ),
    ),
    Scenario(
        name="bursty-content",
        question="The same closed loop beside one that wants a tenth: nobody is short-changed.",
        replicas=4,
        tenants=(Tenant(name="bursty", demand=BURSTY), Tenant(name="light", demand=LIGHT)),
    ),
    Scenario(
        name="idle-holder",
        question="A tenant that holds memory and wants no time, beside a hog: idle, not starved.",
        replicas=4,
        tenants=(
            Tenant(name="holder", demand=Demand(kind=Kind.IDLE, memory=0.1)),
            Tenant(name="hog", demand=HOG),
        ),
    ),
    Scenario(
        name="memory-hog",
        question="A neighbour takes nine tenths of the memory on four slots, with memory promised in fair parts.",
        replicas=4,
        fair_memory=True,
        tenants=(
            Tenant(name="victim", demand=LIGHT),
            Tenant(name="hog", demand=Demand(kind=Kind.IDLE, memory=0.9)),
        ),
        others={
            ("victim", "memory"): ("broken", "neighbour"),
            ("victim", "isolation"): ("broken", "neighbour_overrun"),
            ("hog", "memory"): ("kept", ""),
        },
    ),
    Scenario(
        name="stranger",
        question="A process of no pod runs on a GPU that a pod holds whole.",
        sharing="exclusive",
        replicas=1,
        tenants=(Tenant(name="owner", demand=LIGHT), Tenant(name="stranger", demand=LIGHT, holds=False)),
        others={("owner", "isolation"): ("broken", "host_process")},
    ),
    Scenario(
        name="streams",
        question="One process with one stream against one with four, on two slots: do turns go by process or by stream?",
        replicas=2,
        tenants=(
            Tenant(name="single", demand=HOG),
            Tenant(name="manifold", demand=Demand(kind=Kind.BACKLOGGED, streams=4)),
        ),
        capture=False,
    ),
    Scenario(
        name="long-kernels",
        question="Kernels of 2 ms against kernels of 50 ms, on two slots: is a long kernel interrupted?",
        replicas=2,
        tenants=(
            Tenant(name="short", demand=HOG),
            Tenant(name="long", demand=Demand(kind=Kind.BACKLOGGED, kernel=0.05)),
        ),
    ),
    Scenario(
        name="mps",
        question="Two that always want, clients of an MPS server with 30 and 70 % of the threads: what do samples say?",
        sharing="mps",
        replicas=2,
        tenants=(Tenant(name="less", demand=HOG, threads=30), Tenant(name="more", demand=HOG, threads=70)),
        blind="processes run side by side under MPS, and no reading tells their shares",
    ),
)
