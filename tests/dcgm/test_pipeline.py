"""A simulated node whose dcgm-exporter is a real HTTP server in trouble: what hangs on the page is missing, and nothing else."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from exporter.collect import Collector, Tick
from exporter.dcgm.reading import DcgmReading, NamedPod
from exporter.model import Missing, Reading, Reason
from exporter.recording.disguise import Disguise
from exporter.recording.file import Header, Reader, Writer
from exporter.simulator import scenario
from exporter.simulator.sources import SimSources, build
from exporter.snapshot_json import snapshot_json
from exporter.sources.dcgm import DcgmExporter
from exporter.verdict import Guarantee, Outcome
from exporter.witness import Clock, Hearing, Live, Sources
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
        self.source = DcgmExporter(site(f"http://127.0.0.1:{port.port}/metrics"), most_bytes=1 << 20)
        self.mend()
        sources = Sources(
            driver=self.node.driver,
            kubelet=self.node.kubelet,
            pods=self.node.pods,
            processes=self.node.processes,
            enforcers=self.node.enforcers,
            dcgm=self.source,
        )
        self.collector = Collector("node-1", sources, clock=Clock(self.hands.monotonic, self.hands.wall), patience=30.0)

    def mend(self) -> None:
        self.source._deadline = 20.0  # time enough for a busy machine
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


Trouble = Callable[[Node], object]


def hangs(node: Node) -> None:
    node.source._deadline = 0.3
    node.port.handler = lambda _: node.port.stopping.wait(10.0)


def closes(node: Node) -> None:
    node.port.handler = lambda sock: sock.close()


def says(body: bytes, status: str = "200 OK") -> Trouble:
    def change(node: Node) -> None:
        node.port.handler = lambda sock: sock.sendall(http(body, status))

    return change


TROUBLE = [
    (says(b"", "500 Internal Server Error"), Reason.ERROR, "500"),
    (says(b""), Reason.NOT_YET, "reloading"),
    (says(b"<html>\n"), Reason.ERROR, "garbage"),
    (says(b"x" * ((1 << 20) + 1)), Reason.ERROR, "oversized"),
    (hangs, Reason.TIMEOUT, "hanging"),
    (closes, Reason.ERROR, "down"),
]


@pytest.mark.parametrize(("trouble", "reason"), [t[:2] for t in TROUBLE], ids=[t[2] for t in TROUBLE])
def test_what_hangs_on_the_page_is_missing_with_its_reason_and_nothing_else(trouble: Trouble, reason: Reason):
    with running() as node:
        well = node.play(76.0)
        assert up(well)["dcgm"] is True
        assert used(well, TRAIN) == pytest.approx(0.95 * 42 / 98)
        assert answer(well, TRAIN) == (Outcome.BROKEN, None)
        trouble(node)
        # The page of t = 75 is good for a minute.
        soon = node.play(95.0)
        assert up(soon) == up(well) | {"dcgm": False}
        assert used(soon, TRAIN) == used(well, TRAIN)
        late = node.play(140.0)
        for pod in (TRAIN, NOTEBOOK, OCR):
            assert answer(late, pod) == (Outcome.BLIND, reason)
            assert used(late, pod) == Missing(reason)
            for other in (Guarantee.AVAILABILITY, Guarantee.CONFORMANCE, Guarantee.MEMORY, Guarantee.ISOLATION):
                assert answer(late, pod, other) == (Outcome.KEPT, None)
        assert {name for name, well_ in up(late).items() if not well_} == {"dcgm"}
        node.mend()
        back = node.play(185.0)
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
    tick = stage.play(80)
    (verdict,) = (v[Guarantee.COMPUTE] for key, v in tick.result.verdicts.items() if key.pod.startswith(TRAIN))
    assert {str(cause): lost for cause, lost in verdict.loss.items()} == {"thermal": pytest.approx(0.3)}
    assert answer(tick, NOTEBOOK)[0] is Outcome.IDLE
    assert answer(tick, OCR)[0] is Outcome.KEPT
    cool = stage.play(125)
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


def test_a_recording_has_the_page_under_the_same_pseudonyms_as_the_rest(tmp_path: Path):
    stage = Stage(NAME)
    heard: list[Hearing] = []
    stage.collector._heard = heard.append
    stage.play(16)
    stage.close()
    evidence = heard[-1].evidence
    assert isinstance(evidence.dcgm, DcgmReading)
    ((uuid, gpu), *others) = evidence.dcgm.gpus.items()
    pod = evidence.pods.items[0]  # type: ignore[union-attr]
    named = replace(
        gpu, devices=(replace(gpu.devices[0], named=(NamedPod(pod.namespace, pod.name),)), *gpu.devices[1:])
    )
    dcgm = replace(evidence.dcgm, gpus={uuid: named, **dict(others)})
    writer = Writer(tmp_path / "r", Header("0", 1.0, 0.0, disguised=True), Disguise(b"salt"))
    writer.append(replace(heard[-1], evidence=replace(evidence, dcgm=dcgm)))
    writer.close()
    (back,) = (each.evidence for each in Reader(tmp_path / "r"))
    assert isinstance(back.dcgm, DcgmReading)
    assert back.dcgm.serial == dcgm.serial
    assert set(back.dcgm.gpus) == {each.uuid for each in back.driver.inventory.gpus}  # type: ignore[union-attr]
    assert uuid not in back.dcgm.gpus
    (found,) = (pod for gpu in back.dcgm.gpus.values() for device in gpu.devices for pod in device.named)
    assert (found.namespace, found.pod) == (back.pods.items[0].namespace, back.pods.items[0].name)  # type: ignore[union-attr]
    assert found.pod != pod.name


def test_a_source_whose_first_answer_is_awaited_says_so():
    node = build(scenario.load(NAME), 1, 0.0)
    waiting = threading.Event()

    class Slow:
        def read(self, now: float) -> DcgmReading:
            del now
            waiting.wait(10.0)
            return DcgmReading(serial=1, gpus={})

        def close(self) -> None:
            """Nothing is open."""

    sources = Sources(driver=node.driver, kubelet=None, pods=None, processes=node.processes, dcgm=Slow())
    hands = Hands()
    live = Live("node-1", sources, clock=Clock(hands.monotonic, hands.wall), patience=0.0)
    heard = live.hear(0.0, ())
    waiting.set()
    live.close()
    (found,) = (source for source in heard.health if source.name == "dcgm")
    assert (found.up, found.detail) == (False, "no answer yet")
    assert heard.evidence.dcgm == Missing(Reason.NOT_YET)
