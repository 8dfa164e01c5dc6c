"""Stories that both tellers tell: one simulated node, its pages second by second, and its snapshot at the end.

The node is the simulator's and the pipeline the exporter's own; only a partition's compute verdict may be the story's, so
that a story does not hang on what the judge infers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from exporter.catalogue import CHECKS
from exporter.exposition import Distribution, Writer
from exporter.ledger import Ledger, Limits, advance
from exporter.metrics import Own, families
from exporter.model import Missing, Partition, Reason, Sharing, Snapshot
from exporter.pipeline import Result, State
from exporter.snapshot_json import snapshot_json
from exporter.verdict import Cause, Evidence, Guarantee, Neighbour, Outcome, Verdict, Verdicts, blind
from exporter.watched import Histogram
from tests.scenarios.stage import EPOCH, Stage

Judge = Callable[[Partition, float], Verdict | None]
"""The story's own verdict on a partition's compute at a second; None leaves the pipeline's."""


@dataclass(frozen=True)
class Told:
    """Pages with their Unix times, the snapshot of the last second, and the Unix time of that."""

    pages: tuple[tuple[float, str], ...]
    snapshot: bytes
    at: float


def unknown(partition: Partition, at: float) -> Verdict | None:
    """Whatever the judge infers of time slices, in the stories their demand is unknown unless the story tells it."""
    del at
    return blind(Reason.DEMAND_UNKNOWN) if partition.sharing is Sharing.TIME_SLICING else None


def as_judged(partition: Partition, at: float) -> Verdict | None:
    """What the judge itself says."""
    del partition, at
    return None


def tell(scenario: str, until: float, judge: Judge = unknown) -> Told:
    """Play a scenario and keep every page."""
    with _stage(scenario) as stage:
        ledger, writer, pages = Ledger(), Writer(), []
        snapshot, verdicts = _verdicts(stage, judge)
        while True:
            ledger = advance(ledger, snapshot, verdicts, Limits())
            page = writer.render(families(snapshot, verdicts, ledger, _own()), ()).text.decode()
            pages.append((EPOCH + stage.hands.now, page))
            if stage.hands.now >= until:
                break
            stage.play(stage.hands.now + 1)
            snapshot, verdicts = _verdicts(stage, judge)
        result = Result(snapshot, verdicts, State(ledger=ledger), stage.tick.result.drifts)
        at = EPOCH + stage.hands.now
        return Told(tuple(pages), snapshot_json(result, stage.tick.health, at), at)


@contextmanager
def _stage(scenario: str) -> Iterator[Stage]:
    stage = Stage(scenario)
    try:
        yield stage
    finally:
        stage.close()


def _verdicts(stage: Stage, judge: Judge) -> tuple[Snapshot, Verdicts]:
    result = stage.tick.result
    told = {}
    for partition in result.snapshot.partitions:
        own = dict(result.verdicts[partition.key])
        said = judge(partition, stage.hands.now)
        if said is not None and Guarantee.COMPUTE in own:
            own[Guarantee.COMPUTE] = said
        told[partition.key] = own
    return result.snapshot, told


def _own() -> Own:
    ticks: Distribution = Histogram((1.0,)).distribution()
    return Own(version="0", python="3", ticks=ticks, sources=(), untrusted=dict.fromkeys(CHECKS, 0))


VICTIM = "demand-forecast-train-wq6b2"
HOG: Neighbour = ("batch", "video-transcode-29411520-h7rkd")
NOTEBOOK = "notebook-tomasz-0"


def starved(partition: Partition, at: float) -> Verdict | None:
    """From second 10 a training job that never pauses is kept below its quarter by a hog; the rest goes in switching."""
    used = partition.used_compute
    if partition.key.pod != VICTIM or isinstance(used, Missing):
        return unknown(partition, at)
    promised = 0.25
    if at < 10 or used >= 0.9 * promised:
        return Verdict(Outcome.KEPT, entitled=promised, delivered=min(used, promised), evidence=Evidence.QUEUEING)
    lost = (promised - used) / promised
    return Verdict(
        Outcome.BROKEN,
        loss={Cause.NEIGHBOUR: 0.75 * lost, Cause.SWITCHING: 0.25 * lost},
        neighbours={HOG: 0.75 * lost},
        entitled=promised,
        delivered=used,
        evidence=Evidence.QUEUEING,
    )


def bursty(partition: Partition, at: float) -> Verdict | None:
    """A notebook that computes now and then gets all that it wants."""
    used = partition.used_compute
    if partition.key.pod != NOTEBOOK or isinstance(used, Missing):
        return unknown(partition, at)
    if used <= 0.01:
        return Verdict(Outcome.IDLE, evidence=Evidence.APPETITE)
    return Verdict(Outcome.KEPT, entitled=used, delivered=used, evidence=Evidence.APPETITE)
