"""Which answer a case gets, how sure it is, and what it says; a table of cases made by hand."""

from __future__ import annotations

from typing import Any

import pytest

from exporter.model import Missing, Promise, Reason, Sharing
from exporter.verdict import Cause, Evidence, Guarantee, Outcome
from exporter.why.case import Health, Window
from exporter.why.finding import Level, Mood, also_broken, confidence, find, severity
from exporter.why.verdict_text import REASONS, sentence
from tests.why.ledgers import GIB, HOG, case, promised, spell

A, C, M, ISO, CONF = (
    Guarantee.AVAILABILITY,
    Guarantee.COMPUTE,
    Guarantee.MEMORY,
    Guarantee.ISOLATION,
    Guarantee.CONFORMANCE,
)
NEIGHBOUR = spell(40, 60, now=Outcome.BROKEN, lost={Cause.NEIGHBOUR: 30.0}, neighbours={HOG: 30.0})
OVERRUN = spell(40, 60, now=Outcome.BROKEN, lost={Cause.NEIGHBOUR_OVERRUN: 60.0})
ROGUE = spell(40, 60, now=Outcome.BROKEN, lost={Cause.ROGUE_POD: 60.0})
UNKNOWN_DEMAND = spell(blind=100, now=Outcome.BLIND, reasons={Reason.DEMAND_UNKNOWN: 100.0})


@pytest.mark.parametrize(
    ("changes", "mood", "guarantee", "words"),
    [
        ({"spells": {C: NEIGHBOUR}}, Mood.BROKEN, C, "promised 25% of GPU 2's SM time, got 17.5% while you wanted it."),
        (
            {"spells": {C: NEIGHBOUR}, "entitled": 0.1},
            Mood.BROKEN,
            C,
            "of which what you do entitles you to 10%, and you got 7% while you wanted it.",
        ),
        (
            {"spells": {C: spell(40, 60, lost={Cause.THERMAL: 30.0})}},
            Mood.BROKEN,
            C,
            "was too hot: its clocks were held",
        ),
        (
            {"spells": {C: spell(40, 60, now=Outcome.BROKEN, lost={Cause.POWER_CAP: 30.0})}},
            Mood.BROKEN,
            C,
            "The GPU is held down by its power limit: you got 70% of your share while you wanted it.",
        ),
        ({"spells": {A: spell(40, 60, now=Outcome.BROKEN, lost={Cause.DEVICE_LOST: 60.0})}}, Mood.BROKEN, A, "is lost"),
        (
            {
                "spells": {A: spell(40, 60, now=Outcome.BROKEN, lost={Cause.XID: 60.0})},
                "health": Health(xids={"79": 1.0, "13": 0.0}),
            },
            Mood.BROKEN,
            A,
            "the driver reported XID 79 for GPU 2",
        ),
        (
            {"mean_used": 0.11},
            Mood.YOURSELF,
            C,
            "your full 25% of GPU 2's SM time was there to be had, and you used 11%.",
        ),
        ({"mean_used": 0.004}, Mood.YOURSELF, C, "you used less than 1%."),
        ({"mean_used": 0.11, "sharing": Sharing.MIG}, Mood.YOURSELF, C, "Nobody takes it from you, it is you"),
        ({}, Mood.KEPT, C, "you used 30%. If that is too slow, you need a larger share."),
        ({"mean_used": Missing(Reason.UNSUPPORTED)}, Mood.KEPT, C, "You got what you were promised"),
        ({"spells": {C: UNKNOWN_DEMAND}}, Mood.BLIND, C, REASONS[Reason.DEMAND_UNKNOWN]),
        (
            {"spells": {g: spell(blind=100, now=Outcome.BLIND, reasons={Reason.TIMEOUT: 100.0}) for g in (A, C)}},
            Mood.BLIND,
            A,
            "Cannot be told: the driver did not answer in time.",
        ),
        ({"spells": {g: spell(now=Outcome.KEPT) for g in (A, C)}}, Mood.KEPT, C, "You got what you were promised"),
        ({"spells": {A: spell(now=None)}}, Mood.BLIND, A, "nothing has been observed yet"),
    ],
)
def test_a_case_gets_its_answer(changes: dict[str, Any], mood: Mood, guarantee: Guarantee, words: str) -> None:
    told = case(**changes)
    finding = find(told)
    assert (finding.mood, finding.guarantee) == (mood, guarantee)
    assert words in sentence(told, finding)


MEMORY = {M: spell(40, 60, now=Outcome.BROKEN, lost={Cause.NEIGHBOUR: 3.0}, neighbours={HOG: 3.0})}


@pytest.mark.parametrize(
    ("spells", "head", "also"),
    [
        ({C: NEIGHBOUR, ISO: OVERRUN}, C, [ISO]),
        ({C: NEIGHBOUR, ISO: ROGUE}, ISO, [C]),
        ({**MEMORY, ISO: OVERRUN}, M, [ISO]),
        ({C: NEIGHBOUR, CONF: spell(broken=100, now=Outcome.BROKEN, lost={Cause.OVERSUBSCRIBED: 20.0})}, C, [CONF]),
        # What is broken now comes before what was; a blip does not head an hour of something else.
        ({C: spell(40, 60, lost={Cause.THERMAL: 30.0}), ISO: OVERRUN}, ISO, [C]),
        (
            {C: spell(99, 1, lost={Cause.THERMAL: 0.3}), ISO: spell(40, 60, lost={Cause.NEIGHBOUR_OVERRUN: 60.0})},
            ISO,
            [C],
        ),
        ({C: NEIGHBOUR, A: spell(99, 1, now=Outcome.KEPT, lost={Cause.XID: 1.0})}, C, [A]),
    ],
)
def test_the_head_of_several_breaches_is_the_one_that_tells_most(
    spells: dict[Guarantee, Any], head: Guarantee, also: list[Guarantee]
) -> None:
    told = case(spells=spells, promise=Promise(compute=promised(0.25), memory=promised(10 * GIB)))
    finding = find(told)
    assert finding.guarantee is head
    assert also_broken(told, finding) == also


@pytest.mark.parametrize(
    ("changes", "level", "doubt"),
    [
        ({"spells": {C: NEIGHBOUR}}, Level.HIGH, ""),
        ({"spells": {C: NEIGHBOUR}, "evidence": Evidence.QUEUEING}, Level.MEDIUM, "inferred from queueing"),
        ({"spells": {C: NEIGHBOUR}, "window": Window(100, 600, exact=False)}, Level.MEDIUM, "started over"),
        ({"spells": {C: spell(10, 70, blind=20, lost={Cause.NEIGHBOUR: 9.0})}}, Level.MEDIUM, "80% of the time"),
        ({"spells": {C: spell(10, 20, blind=70, lost={Cause.NEIGHBOUR: 9.0})}}, Level.LOW, "30% of the time"),
        ({"spells": {C: spell(1, 9, lost={Cause.NEIGHBOUR: 3.0})}}, Level.LOW, "only 10 s of evidence"),
        ({"spells": {C: spell(40, 60, lost={Cause.UNKNOWN: 9.0})}}, Level.MEDIUM, "no reading says"),
        ({"spells": {C: UNKNOWN_DEMAND}}, Level.NONE, "0% of the time"),
    ],
)
def test_confidence_is_what_coverage_and_evidence_allow(changes: dict[str, Any], level: Level, doubt: str) -> None:
    told = case(**changes)
    sure = confidence(told, find(told))
    assert sure.level is level
    assert doubt in "; ".join(sure.doubts)


def test_every_breach_has_a_sentence_in_both_tenses() -> None:
    for guarantee in Guarantee:
        for cause in Cause:
            for now in (Outcome.BROKEN, Outcome.KEPT, Outcome.BLIND):
                told = case(spells={guarantee: spell(40, 60, now=now, lost={cause: 60.0})})
                text = sentence(told, find(told))
                assert text.endswith(".")
                assert "{" not in text


def test_every_reason_is_a_sentence() -> None:
    assert set(REASONS) == set(Reason)


def test_what_is_broken_now_is_listed_first_and_then_what_lost_most() -> None:
    now = case(spells={C: spell(99, 1, now=Outcome.BROKEN, lost={Cause.NEIGHBOUR: 0.5})})
    much = case(spells={C: spell(10, 90, lost={Cause.NEIGHBOUR: 80.0})})
    blind = case(spells={C: UNKNOWN_DEMAND})
    kept = case()
    assert sorted([kept, blind, much, now], key=severity) == [now, much, blind, kept]
