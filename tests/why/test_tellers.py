"""Exporter and Prometheus tell one story alike, and Prometheus's own troubles are told, not hidden."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache

import pytest

from exporter.verdict import Cause, Guarantee, Outcome
from exporter.why import from_prometheus, from_snapshot
from exporter.why.case import Case, Who
from exporter.why.finding import confidence, find
from exporter.why.prometheus import Prometheus, one_of, selector
from exporter.why.verdict_text import sentence
from tests.why.fake_prometheus import FakePrometheus
from tests.why.story import HOG, NOTEBOOK, VICTIM, Judge, Told, bursty, starved, tell, unknown
from toolkit.site import Site

SITE = Site("http://prometheus:9090")
C = Guarantee.COMPUTE


@cache
def told(scenario: str, until: float, judge: Judge = unknown) -> Told:
    return tell(scenario, until, judge)


def by_exporter(story: Told, pod: str) -> Case:
    return only(from_snapshot.cases(story.snapshot, "http://exporter"), pod)


def by_prometheus(fake: FakePrometheus, at: float, pod: str, window: float = 1800.0) -> Case:
    prometheus = Prometheus(SITE, fake, at)
    namespace = next(labels["namespace"] for labels in map(dict, fake.series) if labels.get("pod") == pod)
    gpus = from_prometheus.gpus_of(prometheus, namespace, pod, window)
    return only(from_prometheus.cases(prometheus, window, gpus), pod)


def only(cases: Iterable[Case], pod: str) -> Case:
    (case,) = [case for case in cases if case.key.pod == pod]
    return case


STORIES = [
    pytest.param("time-slicing-hog", 60.0, starved, VICTIM, id="a neighbour"),
    pytest.param("time-slicing-hog", 60.0, bursty, NOTEBOOK, id="yourself"),
    pytest.param("time-slicing-hog", 45.0, None, VICTIM, id="blind"),
    pytest.param("thermal-throttle", 65.0, None, "finetune-legal-master-0", id="a throttle that is over"),
    pytest.param("mig-reshaped", 45.0, None, "card-scoring-1", id="a reshaped MIG"),
    pytest.param("mps-memory-hog", 45.0, None, "reranker-7f9b54d6cc-9xgpl", id="a memory hog"),
    pytest.param("gpu-lost", 60.0, None, "variant-caller-worker-1", id="a lost GPU"),
]


@pytest.mark.parametrize("every", [1, 5, 15])
@pytest.mark.parametrize(("scenario", "until", "judge", "pod"), STORIES)
def test_both_tell_the_same_verdict(scenario: str, until: float, judge: Judge | None, pod: str, every: int) -> None:
    story = told(scenario, until) if judge is None else told(scenario, until, judge)
    fake = FakePrometheus(story.pages[int(until) % every :: every])
    one, other = by_exporter(story, pod), by_prometheus(fake, story.at, pod)
    finding = find(one)
    assert find(other) == finding
    assert sentence(other, finding) == sentence(one, finding)
    assert confidence(other, finding) == confidence(one, finding)
    assert totals(other) == pytest.approx(totals(one))
    assert users(other) == pytest.approx(users(one), abs=1e-6)


def totals(case: Case) -> Mapping[tuple[str, ...], float]:
    found: dict[tuple[str, ...], float] = {}
    for guarantee, spell in case.spells.items():
        found |= {(guarantee, "is", outcome): s for outcome, s in spell.seconds.items()}
        found |= {(guarantee, "lost", cause): s for cause, s in spell.lost.items()}
        found |= {(guarantee, "to", *who): s for who, s in spell.neighbours.items()}
        found |= {(guarantee, "blind", reason): s for reason, s in spell.blind.items()}
    return found


def users(case: Case) -> Mapping[str, float]:
    known = (Who.YOU, Who.NEIGHBOUR)
    return {u.name: u.compute for u in case.crowd.users if u.who in known and isinstance(u.compute, float)}


def test_the_window_is_what_was_asked_and_not_the_partitions_life() -> None:
    story = told("time-slicing-hog", 60.0, starved)
    case = by_prometheus(FakePrometheus(story.pages), story.at, VICTIM, window=20.0)
    assert case.spells[C].total == pytest.approx(20)
    assert case.spells[C].of(Outcome.KEPT) < 5
    assert sum(case.spells[C].neighbours.values()) == pytest.approx(case.spells[C].lost[Cause.NEIGHBOUR])


def test_a_prometheus_that_is_younger_than_the_window_does_not_tell_what_it_has_not_seen() -> None:
    story = told("time-slicing-hog", 60.0, starved)
    aged = [(at, older(page, 100_000.0)) for at, page in story.pages[20:]]
    case = by_prometheus(FakePrometheus(aged), story.at, VICTIM)
    assert case.spells[C].total == pytest.approx(40, rel=0.06)
    assert not case.window.exact


def older(page: str, seconds: float) -> str:
    """The page of an exporter that has run for longer: every outcome that has time has more of it."""

    def add(found: re.Match[str]) -> str:
        value = float(found[2])
        return f"{found[1]} {value + seconds if value else 0.0}"

    return re.sub(r"^(gpu_partition_guarantee_seconds_total\{.*\}) (\S+)$", add, page, flags=re.MULTILINE)


def test_counters_that_start_over_are_told_as_estimates() -> None:
    story = told("time-slicing-hog", 60.0, starved)
    fake = FakePrometheus(story.pages[:40])
    for _, page in story.pages[1:31]:
        at = story.pages[40][0] + float(story.pages.index((_, page))) - 1
        fake.scrape(at, page, {"instance": "10.0.0.1:9945", "job": "slicewatch"})
    end = story.pages[40][0] + 29
    case = by_prometheus(fake, end, VICTIM)
    assert not case.window.exact
    assert case.spells[C].total == pytest.approx(69, rel=0.06)
    assert "estimates" in "".join(confidence(case, find(case)).doubts)


def test_an_exporter_that_comes_back_under_another_address_goes_on() -> None:
    story = told("time-slicing-hog", 60.0, starved)
    fake = FakePrometheus(story.pages[:31])
    start = story.pages[30][0] + 5
    for i, (_, page) in enumerate(story.pages[:31]):
        fake.scrape(start + i, page, {"instance": "10.0.0.2:9945", "job": "slicewatch"})
    case = by_prometheus(fake, start + 30, VICTIM)
    assert case.spells[C].total == pytest.approx(60)


def test_two_jobs_that_scrape_one_exporter_do_not_count_twice() -> None:
    story = told("time-slicing-hog", 60.0, starved)
    fake = FakePrometheus(story.pages)
    for at, page in story.pages:
        fake.scrape(at, page, {"instance": "10.0.0.1:9945", "job": "another"})
    case = by_prometheus(fake, story.at, VICTIM, window=60.0)
    assert case.spells[C].total == pytest.approx(60)


def test_a_pod_that_has_gone_is_still_explained() -> None:
    story = told("time-slicing-hog", 60.0, starved)
    fake = FakePrometheus(story.pages)
    case = by_prometheus(fake, story.at + 400, VICTIM)
    assert case.gone
    assert {spell.now for spell in case.spells.values()} == {None}
    assert case.spells[C].neighbours.keys() == {HOG}
    assert "The pod no longer holds it." in sentence(case, find(case))


def test_the_worst_outcome_between_the_two_newest_scrapes_is_what_is_now() -> None:
    story = told("time-slicing-hog", 60.0, starved)
    fake = FakePrometheus([story.pages[5], story.pages[20]])
    case = by_prometheus(fake, story.pages[20][0], VICTIM)
    assert case.spells[C].of(Outcome.KEPT) > 0
    assert case.spells[C].now is Outcome.BROKEN


def test_a_description_that_has_changed_is_told_as_it_is_now() -> None:
    story = told("time-slicing-hog", 60.0, starved)
    renamed = 'workload="an-older-name"'
    pages = list(story.pages[:3])
    pages[1] = (pages[1][0], pages[1][1].replace('workload="demand-forecast-train"', renamed))
    assert renamed in pages[1][1]
    case = by_prometheus(FakePrometheus(pages), pages[2][0], VICTIM)
    assert case.workload == "demand-forecast-train"


@pytest.mark.parametrize(
    ("made", "text"),
    [
        (selector(["a", "b"], pod='x"\\y\n'), '{__name__=~"a|b",pod="x\\"\\\\y\\n"}'),
        (one_of(["a"], "gpu", ["GPU-1", "x.*|y"]), '{__name__=~"a",gpu=~"GPU-1|x\\\\.\\\\*\\\\|y"}'),
    ],
)
def test_a_name_in_a_query_matches_itself_alone(made: str, text: str) -> None:
    assert made == text


def test_strangers_are_named_by_the_exporter_and_not_by_prometheus() -> None:
    story = told("rogue-process", 45.0)
    pod = "session-model-train-c7m4x"
    one, other = by_exporter(story, pod), by_prometheus(FakePrometheus(story.pages), story.at, pod)
    assert {user.who for user in one.crowd.users} == {Who.YOU, Who.STRANGER, Who.HOST}
    assert {user.who for user in other.crowd.users} == {Who.YOU}
    assert not other.crowd.complete
    assert find(one) == find(other)


def test_the_number_of_queries_does_not_grow_with_the_fleet() -> None:
    few, many = (FakePrometheus(told(name, 45.0).pages) for name in ("rogue-process", "mps-memory-hog"))
    for fake in (few, many):
        from_prometheus.cases(Prometheus(SITE, fake, told("rogue-process", 45.0).at), 60.0)
    assert len(few.queries) == len(many.queries)
