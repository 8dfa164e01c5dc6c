"""What a person reads: the demo, the doctor, and the sentences in both."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from ctypes.util import find_library
from pathlib import Path

import pytest

from exporter.app import run
from exporter.explain import MODES, promise_words, verdict_words
from exporter.model import Reason, Sharing
from exporter.simulator.scenario import SHIPPED
from exporter.snapshot_json import snapshot_json
from exporter.verdict import Cause, Guarantee, Outcome, Verdict
from tests.scenarios.stage import played


def command(*argv: str) -> tuple[int, str, str]:
    out, err = io.StringIO(), io.StringIO()
    return run(argv, {}, out, err), out.getvalue(), err.getvalue()


def test_the_demo_shows_a_breach_explains_it_and_alerts() -> None:
    status, out, err = command("demo")
    assert (status, err) == (0, "")
    broken, alert = out.index("BROKEN"), out.index("ALERT")
    assert broken < alert
    assert "The MIG layout was changed under the pod" in out
    assert "next      slicewatch why fraud/card-scoring-0" in out
    assert "compute: batch/video-transcode-29411520-h7rkd took " in out
    assert "GUARANTEES" in out


def test_the_demo_tells_the_same_story_every_time() -> None:
    assert command("demo", "--duration", "20s") == command("demo", "--duration", "20s")


def test_a_scenario_without_an_incident_has_no_alert() -> None:
    status, out, _ = command("demo", "--scenario", "mig-mixed", "--duration", "20s")
    assert status == 0
    assert "ALERT" not in out
    assert "BROKEN" not in out


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["demo", "--scenario", "nope"], "slicewatch demo: "),
        (["demo", "--duraton", "1s"], "slicewatch demo: unknown flag --duraton"),
        (["doctor", "--nope"], "slicewatch doctor: unknown flag --nope"),
        (["dance"], "slicewatch: unknown command 'dance'"),
    ],
)
def test_a_wrong_command_line_is_one_clear_line(argv: list[str], line: str) -> None:
    status, out, err = command(*argv)
    assert (status, out) == (2, "")
    assert err.startswith(line)
    assert err.count("\n") == 1


def test_help_and_version_are_as_asked() -> None:
    assert command("--help")[0] == 0
    assert command("--version")[1].startswith("slicewatch 0.")
    assert command()[0] == 2


def test_the_doctor_says_what_the_node_lets_us_judge() -> None:
    status, out, _ = command(
        "doctor", "--source", "simulator", "--simulator.scenario", "mps-memory-hog", "--tick", "100ms"
    )
    assert status == 0
    words = " ".join(out.split())
    assert "MPS 3 × availability, memory, isolation; conformance where the daemon can be asked." in words


def test_the_doctor_waits_until_the_partitions_are_there_so_that_enforcers_are_asked(tmp_path: Path) -> None:
    """An enforcer is asked for those who held something at the tick before; here the pods are listed after the first."""
    shipped = (SHIPPED / "hami-hook-off.toml").read_text()
    node = tmp_path / "late.toml"
    node.write_text(shipped + '\n[[event]]\nat = 0\nuntil = 0.1\nkind = "api_down"\n')
    status, out, _ = command("doctor", "--source", "simulator", "--simulator.scenario", str(node), "--tick", "200ms")
    assert status == 0
    assert "read for 2 of 3 (1 not_yet)" in out


def test_the_doctor_of_a_node_without_a_driver_says_what_to_do_and_exits_3(tmp_path: Path) -> None:
    if find_library("nvidia-ml") is not None:
        pytest.skip("this machine has an NVIDIA driver")
    # A process of its own: this one may have loaded the fake driver for another test.
    flags = ["--podresources.socket", str(tmp_path / "kubelet.sock"), "--kubernetes", "off", "--tick", "100ms"]
    run_ = subprocess.run(
        [sys.executable, "-m", "slicewatch", "doctor", *flags], capture_output=True, text=True, timeout=30, check=False
    )
    assert run_.returncode == 3
    words = " ".join(run_.stdout.split())
    assert "libnvidia-ml.so.1 not found" in words
    assert "podresources down" in words


def test_every_sharing_mode_has_a_word() -> None:
    assert set(MODES) == set(Sharing)


def test_every_cause_reason_and_outcome_makes_a_sentence() -> None:
    partition = played("mig-mixed", 2).result.snapshot.partitions[0]
    verdicts = [Verdict(Outcome.KEPT), Verdict(Outcome.IDLE)]
    verdicts += [Verdict(Outcome.BROKEN, loss={cause: 0.5}) for cause in Cause]
    verdicts += [Verdict(Outcome.BLIND, reason) for reason in Reason]
    for verdict in verdicts:
        assert verdict_words(partition, Guarantee.AVAILABILITY, verdict).endswith(".")


@pytest.mark.parametrize(
    ("taken", "sentence"),
    [
        ({}, "Neighbours took 30% of what it is due, beyond their own promises."),
        ({"b": 0.3}, "a/b took 30% of what it is due, beyond its own promise."),
        ({"b": 0.1, "c": 0.2}, "Neighbours (a/c 20%, a/b 10%) took 30% of what it is due, beyond their own promises."),
        (
            {"b": 0.04, "c": 0.05, "d": 0.1, "e": 0.11},
            "Neighbours (a/e 11%, a/d 10%, a/c 5%, …) took 30% of what it is due, beyond their own promises.",
        ),
    ],
)
def test_neighbours_are_named_the_one_that_took_most_first(taken: dict[str, float], sentence: str) -> None:
    partition = played("mig-mixed", 2).result.snapshot.partitions[0]
    loss = {Cause.UNKNOWN: 0.1, Cause.NEIGHBOUR: 0.3}
    verdict = Verdict(Outcome.BROKEN, loss=loss, neighbours={("a", pod): part for pod, part in taken.items()})
    words = verdict_words(partition, Guarantee.COMPUTE, verdict)
    assert words == f"{sentence} 10% is missing and no reading says why."


def test_a_promise_says_who_keeps_it() -> None:
    words = {promise_words(p) for p in played("demo", 2).result.snapshot.partitions}
    assert "45.5% SM, 39.5 GiB (isolated, hardware)" in words
    assert "25% SM (declared, enforced by nobody)" in words


def test_the_snapshot_is_json_with_reasons_for_what_is_missing() -> None:
    tick = played("mps-memory-hog", 10)
    document = json.loads(snapshot_json(tick.result, tick.health, 1.0))
    assert document["node"] == "node-1"
    assert {p["sharing"] for p in document["partitions"]} == {"mps"}
    for partition in document["partitions"]:
        assert partition["used_compute"] == {"missing": "unsupported"}
        conformance = partition["guarantees"]["conformance"]
        assert (conformance["outcome"], conformance["reason"], conformance["loss"]) == ("blind", "unsupported", {})
        assert partition["promise"]["memory"]["class"] == "hard_cap"
        outcomes = partition["seconds"]["guarantees"]["availability"]["outcomes"]
        assert sum(outcomes.values()) == pytest.approx(10)
