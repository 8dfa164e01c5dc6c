"""A simulated node whose dcgm-exporter is a real HTTP server in trouble: what hangs on the page is missing, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from exporter.collect import Collector, Tick
from exporter.model import Missing, Reading, Reason
from exporter.simulator import scenario
from exporter.simulator.sources import SimSources, build
from exporter.snapshot_json import snapshot_json
from exporter.sources.dcgm import DcgmExporter
from exporter.verdict import Guarantee, Outcome
from exporter.witness import Clock, Sources
from tests.fakes.port import Port, http, port_server
from tests.scenarios.stage import Hands, Stage, played
from toolkit.site import site

NAME = "mig-a100-dcgm"
TRAIN, NOTEBOOK, OCR = "adapter-train", "notebook-ines", "label-ocr"


class Node:
    """The scenario's node with its page on a real port. `broken` replaces what the port answers."""

    def __init__(self, port: Port) -> None:
        self.hands = Hands()
        self.node: SimSources = build(scenario.load(NAME), 1, 0.0, sleep=lambda _: None)
        self.port = port
        self.mend()
        sources = Sources(
            driver=self.node.driver,
            kubelet=self.node.kubelet,
            pods=self.node.pods,
            processes=self.node.processes,
            enforcers=self.node.enforcers,
            dcgm=DcgmExporter(site(f"http://127.0.0.1:{port.port}/metrics"), deadline=0.4, most_bytes=1 << 20),
        )
        self.collector = Collector("node-1", sources, clock=Clock(self.hands.monotonic, self.hands.wall), patience=30.0)

    def mend(self) -> None:
        self.port.handler = lambda sock: sock.sendall(http(self._page().encode()))

    def _page(self) -> str:
        assert self.node.dcgm is not None
        return self.node.dcgm.page(self.hands.now)

    def play(self, until: float) -> Tick:
        tick = self.collector.run_tick()
        while self.hands.now < until:
            self.hands.now += 1.0
            tick = self.collector.run_tick()
        return tick


@contextmanager
def running() -> Iterator[Node]:
    with port_server(b"") as port:
        node = Node(port)
        try:
            yield node
        finally:
            node.collector.close()


def used(tick: Tick, pod: str) -> Reading:
    (found,) = (p.used_compute for p in tick.result.snapshot.partitions if p.key.pod.startswith(pod))
    return found


def answer(tick: Tick, pod: str, guarantee: Guarantee = Guarantee.COMPUTE) -> tuple[Outcome, Reason | None]:
    (found,) = (v[guarantee] for key, v in tick.result.verdicts.items() if key.pod.startswith(pod))
    return found.outcome, found.reason


def up(tick: Tick) -> dict[str, bool]:
    return {source.name: source.up for source in tick.health}


def hangs(port: Port) -> None:
    port.handler = lambda _: port.stopping.wait(10.0)


def says(body: bytes, status: str = "200 OK") -> object:
    def change(port: Port) -> None:
        port.handler = lambda sock: sock.sendall(http(body, status))

    return change


TROUBLE = [
    (says(b"", "500 Internal Server Error"), Reason.ERROR, "500"),
    (says(b""), Reason.NOT_YET, "reloading"),
    (says(b"<html>\n"), Reason.ERROR, "garbage"),
    (says(b"x" * ((1 << 20) + 1)), Reason.ERROR, "oversized"),
    (hangs, Reason.TIMEOUT, "hanging"),
    (lambda port: setattr(port, "handler", lambda sock: sock.close()), Reason.ERROR, "down"),
]


@pytest.mark.parametrize(("trouble", "reason"), [t[:2] for t in TROUBLE], ids=[t[2] for t in TROUBLE])
def test_what_hangs_on_the_page_is_missing_with_its_reason_and_nothing_else(trouble: object, reason: Reason):
    with running() as node:
        well = node.play(61.0)
        assert up(well)["dcgm"] is True
        assert used(well, TRAIN) == pytest.approx(0.95 * 42 / 98)
        assert answer(well, TRAIN) == (Outcome.BROKEN, None)
        trouble(node.port)  # type: ignore[operator]
        # The page of t = 60 is good for a minute, and what is on it is not older than two.
        soon = node.play(80.0)
        assert up(soon) == up(well) | {"dcgm": False}
        assert used(soon, TRAIN) == used(well, TRAIN)
        late = node.play(125.0)
        for pod in (TRAIN, NOTEBOOK, OCR):
            assert answer(late, pod) == (Outcome.BLIND, reason)
            assert used(late, pod) == Missing(reason)
            for other in (Guarantee.AVAILABILITY, Guarantee.CONFORMANCE, Guarantee.MEMORY, Guarantee.ISOLATION):
                assert answer(late, pod, other) == (Outcome.KEPT, None)
        assert {name for name, well_ in up(late).items() if not well_} == {"dcgm"}
        node.mend()
        back = node.play(165.0)
        assert up(back)["dcgm"] is True
        assert answer(back, TRAIN) == (Outcome.KEPT, None)


def test_a_page_that_stands_still_grows_stale_although_it_is_served():
    with running() as node:
        node.play(61.0)
        page = node._page().encode()
        node.port.handler = lambda sock: sock.sendall(http(page))
        late = node.play(190.0)
        assert up(late)["dcgm"] is True
        assert answer(late, TRAIN) == (Outcome.BLIND, Reason.STALE)
        assert used(late, TRAIN) == Missing(Reason.STALE)
        assert late.result.state.judged.trust.refused["sample_stale"] > 0


def test_a_page_that_is_cut_says_nothing_of_the_gpu_whose_instances_it_lost():
    with running() as node:
        node.play(46.0)

        def cut(sock: object) -> None:
            lines = [
                line
                for line in node._page().splitlines(keepends=True)
                if "MIG" not in line and 'gpu="1"' not in line.split("GPU_I_PROFILE")[0]
            ]
            sock.sendall(http("".join(lines).encode()))  # type: ignore[attr-defined]

        node.port.handler = cut
        late = node.play(125.0)
        assert used(late, OCR) == Missing(Reason.UNSUPPORTED)
        assert not isinstance(used(late, TRAIN), Missing)


def test_heat_is_named_as_the_cause_where_only_the_page_shows_that_the_tenant_is_busy():
    stage = Stage(NAME)
    early = stage.play(20)
    assert answer(early, TRAIN) == (Outcome.BLIND, Reason.DEMAND_UNKNOWN)
    assert answer(early, NOTEBOOK) == (Outcome.BLIND, Reason.NOT_YET)
    tick = stage.play(50)
    (verdict,) = (v[Guarantee.COMPUTE] for key, v in tick.result.verdicts.items() if key.pod.startswith(TRAIN))
    assert {str(cause): lost for cause, lost in verdict.loss.items()} == {"thermal": pytest.approx(0.3)}
    assert answer(tick, NOTEBOOK)[0] is Outcome.IDLE
    assert answer(tick, OCR)[0] is Outcome.KEPT
    cool = stage.play(90)
    stage.close()
    assert answer(cool, TRAIN)[0] is Outcome.KEPT


def test_the_snapshot_tells_which_source_gave_which_reading():
    tick = played(NAME, 46)
    document = json.loads(snapshot_json(tick.result, tick.health, 0.0))
    instances = [device for device in document["devices"] if device["kind"] == "mig"]
    assert len(instances) == 5
    for device in instances:
        assert set(device["sources"].values()) == {"dcgm"}
        assert device["sample"].keys() == {"source", "age", "interval", "covers", "low_confidence"}
        assert 0 <= device["sample"]["age"] <= 15
    assert [device["sample"]["low_confidence"] for device in instances].count(True) == 2  # the larger ones
    hopper = played("mig-mixed", 5)
    whole = json.loads(snapshot_json(hopper.result, hopper.health, 0.0))["devices"]
    assert {source for device in whole for source in device["sources"].values()} == {"gpm"}
    assert all("sample" not in device for device in whole)
