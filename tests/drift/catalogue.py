"""The drift catalogue as worlds: for each drift a node that has it, what is to be said of it, and how it is judged.

Print the table with `python -m tests.drift.catalogue`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from exporter.drift import Drift, Severity
from exporter.model import Partition
from exporter.partitions import Evidence
from exporter.pipeline import Result
from exporter.records import Limit
from exporter.verdict import Guarantee
from tests.drift.worlds import (
    GPU1,
    claimed,
    ended,
    fractions,
    hooked,
    host,
    idle,
    init_container,
    lost,
    mig,
    mps,
    mps_claim,
    part,
    pending,
    reshaped,
    rogue,
    set_as_promised,
    slots,
    stale,
    unallocated,
    whole,
)
from tests.join.worlds import (
    allocations,
    evidence,
    gpu,
    gpu_id,
    holds,
    mig_id,
    pod,
    pods,
    reading,
    think,
)


@dataclass(frozen=True)
class Case:
    """A node with one drift. `judged` is guarantee and outcome with its cause, or what is said where nothing is judged."""

    number: int
    name: str
    severity: Severity
    what: str
    world: Callable[[], Sequence[Evidence]]
    judged: str

    @property
    def id(self) -> str:
        return f"D{self.number} {self.what}"


def play(case: Case) -> tuple[Result, Drift | None]:
    """Run the world; return the result and the drift that was found."""
    result = think(*case.world())
    found = [drift for drift in result.drifts if (drift.number, drift.name) == (case.number, case.name)]
    return result, found[0] if found else None


def verdict(result: Result, drift: Drift) -> str:
    """How the drift's holder, or the first of its device, is judged: the worst answer in a few words."""
    partitions = result.snapshot.partitions
    about = [p for p in partitions if drift.holder in {None, p.key} and drift.where in {"", p.key.device, p.key.gpu}]
    words = [word for partition in about for word in _words(result, partition)]
    return words[0] if words else NOTHING


def _words(result: Result, partition: Partition) -> list[str]:
    answers = result.verdicts[partition.key]
    return [
        f"{guarantee} broken: {cause}"
        for guarantee in Guarantee
        if guarantee in answers
        for cause in sorted(answers[guarantee].loss, key=lambda cause: -answers[guarantee].loss[cause])
    ]


B, R, W, I = Severity.BREACH, Severity.AT_RISK, Severity.WARNING, Severity.INFO  # noqa: E741  # columns of the table

NOTHING = "nothing is broken"

CASES: tuple[Case, ...] = (
    Case(
        1,
        "wrong_profile",
        B,
        "less attached than named",
        lambda: [mig("1g.10gb", "2g.20gb")],
        "conformance broken: wrong_profile",
    ),
    Case(1, "larger_profile", I, "more attached than named", lambda: [mig("2g.20gb", "1g.10gb")], NOTHING),
    Case(2, "mig_reconfigured", B, "layout changed under a pod", reshaped, "availability broken: mig_reconfigured"),
    Case(
        3,
        "mig_reconfiguring",
        R,
        "reconfiguration pending",
        lambda: [whole(labels={"nvidia.com/mig.config.state": "pending"})],
        NOTHING,
    ),
    Case(
        3,
        "mig_reconfiguring",
        R,
        "reconfiguration failed",
        lambda: [whole(labels={"nvidia.com/mig.config.state": "failed"})],
        NOTHING,
    ),
    Case(4, "mig_mode_pending", R, "MIG mode waits for a reset", pending, NOTHING),
    Case(5, "stale_plugin", W, "a GPU that is not offered", lambda: stale((GPU1,)), NOTHING),
    Case(5, "stale_plugin", W, "an offer that is not there", lambda: stale((GPU1, gpu_id(2), mig_id(9))), NOTHING),
    Case(6, "claim_drift", R, "claim begun and not prepared", lambda: claimed("", ready=False), NOTHING),
    Case(6, "claim_drift", B, "prepared on another GPU", lambda: claimed(gpu_id(2)), NOTHING),
    Case(6, "claim_drift", R, "handed out and not allocated", unallocated, NOTHING),
    Case(
        7, "oversubscribed", R, "more holders than replicas", lambda: slots(3, 2), "conformance broken: oversubscribed"
    ),
    Case(
        7,
        "oversubscribed",
        R,
        "HAMi cores above 100",
        lambda: hooked(("a", part(70, 10)), ("b", part(60, 10))),
        NOTHING,
    ),
    Case(
        7,
        "oversubscribed",
        R,
        "HAMi memory scaled",
        lambda: hooked(("a", part(20, 60)), ("b", part(20, 60))),
        NOTHING,
    ),
    Case(7, "oversubscribed", R, "KAI fractions above 1", lambda: fractions(0.7, 0.6), NOTHING),
    Case(
        7,
        "oversubscribed",
        R,
        "MPS threads of a claim above 100",
        lambda: mps_claim(0.6, 0.6),
        "conformance broken: oversubscribed",
    ),
    Case(8, "rogue_process", B, "a pod that holds nothing", rogue, "isolation broken: rogue_pod"),
    Case(9, "host_process", B, "a process of no pod", host, "isolation broken: host_process"),
    Case(10, "idle_owner", Severity.WASTE, "held and not used", idle, NOTHING),
    Case(11, "terminal_pod", I, "an ended pod that is listed", ended, NOTHING),
    Case(
        12,
        "overruled_id",
        I,
        "HAMi's id is not its device",
        lambda: hooked(("a", part(30, 10)), slot=gpu_id(2)),
        NOTHING,
    ),
    Case(
        13,
        "unenforced",
        B,
        "MPS default absent",
        lambda: mps(daemon=Limit(None, None)),
        "conformance broken: unenforced",
    ),
    Case(
        13,
        "unenforced",
        B,
        "HAMi hook switched off",
        lambda: hooked(("a", part(30, 10, unhooked=True))),
        "conformance broken: unenforced",
    ),
    Case(
        13,
        "unenforced",
        B,
        "HAMi limit is not the promise",
        lambda: hooked(("a", part(30, 10)), limits={"a": set_as_promised(30, 20)}),
        "conformance broken: unenforced",
    ),
    Case(13, "unguarded", R, "MPS without EXCLUSIVE_PROCESS", lambda: mps(daemon=None, exclusive=False), NOTHING),
    Case(14, "other_container", I, "an init container's process", init_container, NOTHING),
    Case(
        15,
        "several_slots",
        I,
        "two slots of one device",
        lambda: [
            evidence(
                reading([gpu(1)]),
                allocations(
                    holds("a", f"{GPU1}::0", f"{GPU1}::3"), allocatable=tuple(f"{GPU1}::{n}" for n in range(4))
                ),
                pods(pod("a")),
            )
        ],
        NOTHING,
    ),
    Case(16, "device_lost", B, "fallen off the bus", lost, "availability broken: device_lost"),
)


def table() -> str:
    """The catalogue, as it was found."""
    lines = [f"{'':4} {'drift':32} {'named':18} {'severity':9} judged"]
    for case in CASES:
        result, drift = play(case)
        named, severity, judged = (
            ("NOT FOUND", "", "") if drift is None else (drift.name, drift.severity.value, verdict(result, drift))
        )
        lines.append(f"D{case.number:<3} {case.what:32} {named:18} {severity:9} {judged}")
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())  # noqa: T201  # it is what this is for
