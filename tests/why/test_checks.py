"""What is ruled out, found or not told, by which reading."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.model import Missing, Promise, Reason, Sharing, Throttle
from exporter.verdict import Cause, Guarantee, Outcome
from exporter.why.advice import next_steps
from exporter.why.case import Health
from exporter.why.checks import Ruling, checks
from exporter.why.finding import find
from tests.why.ledgers import GIB, HOG, case, promised, spell

C = Guarantee.COMPUTE
HOT = Health(clock_hertz=0.8e9, clock_max_hertz=2e9, throttle=frozenset({Throttle.HW_THERMAL}))
BLIND = spell(blind=100, now=Outcome.BLIND, reasons={Reason.DEMAND_UNKNOWN: 100.0})


@pytest.mark.parametrize(
    ("changes", "suspect", "ruling", "words"),
    [
        ({}, "clocks", Ruling.CLEARED, "SM clock 2000 of 2000 MHz (a breach below 1200); nothing holds it down now"),
        ({"spells": {C: spell(40, 60, lost={Cause.THERMAL: 9.0})}}, "clocks", Ruling.GUILTY, "SM clock 2000"),
        ({"health": HOT, "spells": {C: BLIND}}, "clocks", Ruling.GUILTY, "held down now by hw_thermal"),
        # An idle GPU lowers its clocks by itself.
        (
            {
                "health": Health(clock_hertz=0.3e9, clock_max_hertz=2e9, throttle=frozenset()),
                "spells": {C: spell(idle=100, now=Outcome.IDLE)},
            },
            "clocks",
            Ruling.CLEARED,
            "SM clock 300",
        ),
        ({"health": Health()}, "clocks", Ruling.UNTOLD, "cannot be read"),
        (
            {
                "health": Health(
                    clock_hertz=2e9, clock_max_hertz=2e9, throttled={Throttle.SW_POWER_CAP: 61.0, Throttle.DISPLAY: 5.0}
                )
            },
            "clocks",
            Ruling.CLEARED,
            "in the window sw_power_cap 1m 01s",
        ),
        (
            {"health": Health(xids={"13": 2.0}, ecc_uncorrected=0.0)},
            "device",
            Ruling.CLEARED,
            "2 × XID 13; 0 uncorrectable",
        ),
        ({"holders": 5.0}, "allocation", Ruling.CLEARED, "5 of 4 slots of GPU 2 are held"),
        (
            {"sharing": Sharing.MIG, "promised_profile": "2g.20gb", "attached_profile": "1g.10gb"},
            "allocation",
            Ruling.CLEARED,
            "attached is 1g.10gb, promised was 2g.20gb",
        ),
        (
            {
                "promise": Promise(memory=promised(20 * GIB)),
                "spells": {Guarantee.MEMORY: spell(40, 60, lost={Cause.NEIGHBOUR: 3.0})},
            },
            "memory",
            Ruling.GUILTY,
            "broken for 1m 00s (neighbour); 20.0 GiB can be had now, 20.0 GiB were promised",
        ),
        (
            {"spells": {Guarantee.ISOLATION: spell(10, blind=90, now=Outcome.BLIND, reasons={Reason.HOST_PID: 90.0})}},
            "company",
            Ruling.UNTOLD,
            "hostPID: true",
        ),
        ({"spells": {C: BLIND}}, "GPU time", Ruling.UNTOLD, "no evidence says"),
        (
            {"spells": {C: spell(90, blind=10, reasons={Reason.CONTRADICTION: 10.0})}},
            "readings",
            Ruling.UNTOLD,
            "contradicted each other for 10s (compute)",
        ),
        ({}, "readings", Ruling.CLEARED, "no two of them contradicted each other"),
    ],
)
def test_a_suspect_is_judged_by_its_reading(changes: dict[str, Any], suspect: str, ruling: Ruling, words: str) -> None:
    (found,) = [check for check in checks(case(**changes)) if check.suspect == suspect]
    assert found.ruling is ruling
    assert words in found.words


def test_nothing_is_said_of_guarantees_that_are_blind_because_the_device_is_gone() -> None:
    gone = spell(blind=50, kept=50, now=Outcome.BLIND, reasons={Reason.DEVICE_LOST: 50.0})
    told = case(spells={Guarantee.ISOLATION: gone, Guarantee.CONFORMANCE: gone})
    assert {check.suspect for check in checks(told)} == {"clocks", "device", "readings"}


@pytest.mark.parametrize(
    ("spells", "command"),
    [
        (
            {C: spell(40, 60, lost={Cause.NEIGHBOUR: 9.0}, neighbours={HOG: 9.0})},
            "kubectl -n batch describe pod train-7",
        ),
        ({C: spell(40, 60, lost={Cause.THERMAL: 9.0})}, "nvidia-smi -i GPU-1 -q -d TEMPERATURE"),
        ({C: spell(40, 60, lost={Cause.UNKNOWN: 9.0})}, "kubectl -n ml describe pod chat-0"),
        ({Guarantee.AVAILABILITY: spell(40, 60, lost={Cause.XID: 60.0})}, "journalctl -k --grep 'NVRM: Xid'"),
        (
            {Guarantee.AVAILABILITY: spell(40, 60, lost={Cause.DEVICE_MISSING: 60.0})},
            "kubectl -n ml describe pod chat-0",
        ),
        (
            {Guarantee.ISOLATION: spell(40, 60, lost={Cause.HOST_PROCESS: 60.0})},
            "nvidia-smi -i GPU-1 --query-compute-apps",
        ),
        ({Guarantee.CONFORMANCE: spell(40, 60, lost={Cause.OVERSUBSCRIBED: 30.0})}, "kubectl get pod -A"),
        ({C: BLIND}, "kubectl -n ml logs chat-0"),
        ({C: spell(blind=100, now=Outcome.BLIND, reasons={Reason.PERMISSION: 100.0})}, "slicewatch doctor"),
        ({}, "kubectl -n ml get pod chat-0 -o wide"),
    ],
)
def test_the_next_command_looks_where_the_cause_is(spells: dict[Guarantee, Any], command: str) -> None:
    told = case(spells=spells)
    assert next_steps(told, find(told))[0].startswith(command)


@pytest.mark.parametrize("cause", list(Cause))
@pytest.mark.parametrize("node", ["n1", ""])
def test_every_cause_has_a_next_command_and_none_of_them_changes_anything(cause: Cause, node: str) -> None:
    told = case(spells={C: spell(40, 60, lost={cause: 9.0})}, node=node, used_compute=Missing(Reason.NOT_YET))
    steps = next_steps(told, find(told))
    assert steps
    for step in steps:
        command = step.partition("   #")[0]
        assert not any(verb in command for verb in ("delete", "apply", "--gpu-reset", "drain", "cordon"))
