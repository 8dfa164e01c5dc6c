"""From counters to a page's words: the parts add up, and what is not known is said."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import starmap

import polars as pl
import pytest

from slo.alertmanager.answer import Amount, Answer, Cause, Evidence, Missing, Taker, unknown
from slo.alertmanager.answers import Answerer
from slo.alertmanager.figures import window
from slo.alertmanager.texts import Texts, clean, clock, span
from slo.rules.texts import Links
from slo.samples import SCHEMA, Samples
from slo.spec import Matcher, Severity, Subject
from slo.verdicts import AlertName, Firing
from tests.slo.alertmanager.made import ANSWER, GPU, T0, firing, other, spec

NOW = T0 + 60
SPENT = "gpu_partition_guarantee_seconds_total"
Series = tuple[dict[str, str], dict[int, float]]


@dataclass
class Store:
    """A store that remembers a value of each series for each of some instants."""

    series: list[Series] = field(default_factory=list)
    asked: list[tuple[str, str, float]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return "a store"

    def add(
        self,
        metric: str,
        now: float,
        before: float | None = None,
        *,
        pod: str = "train-7",
        ago: int = 900,
        **labels: str,
    ) -> None:
        """A series with its value now and `ago` seconds before."""
        own = {
            "cluster": "c1",
            "gpu": GPU,
            "device": GPU,
            "namespace": "ml",
            "pod": pod,
            "container": "main",
            "job": "gpu",
        }
        values = {NOW: now} | ({} if before is None else {NOW - ago: before})
        self.series.append(({"__name__": metric} | own | labels, values))

    def read_at(self, metric: str, matchers: Sequence[Matcher], at: float) -> Samples:
        """What a store says."""
        self.asked.append((metric, " ".join(str(matcher) for matcher in matchers), at))
        found = [
            (labels, values[int(at)])
            for labels, values in self.series
            if labels["__name__"] == metric
            and at in values
            and all(matcher.holds(labels.get(matcher.label, "")) for matcher in matchers)
        ]
        rows = {
            "series": list(range(len(found))),
            "t": [int(at * 1000)] * len(found),
            "v": [value for _, value in found],
        }
        return Samples(tuple(labels for labels, _ in found), pl.DataFrame(rows, schema=SCHEMA))


def starved(pod: str = "train-7", gpu: str = GPU) -> Store:
    """A partition that was promised a quarter, wanted it for 840 s of the last 900, and lost 56 % of it."""
    store = Store()
    seconds = {"kept": (1300.0, 1000.0), "broken": (640.0, 100.0), "idle": (60.0, 30.0), "blind": (30.0, 0.0)}
    for outcome, (now, before) in seconds.items():
        store.add(SPENT, now, before, guarantee="compute", outcome=outcome)
    store.add("gpu_partition_lost_seconds_total", 500.0, 63.2, guarantee="compute", cause="neighbour")
    store.add("gpu_partition_lost_seconds_total", 33.6, 0.0, guarantee="compute", cause="clock")
    took = "gpu_partition_lost_to_neighbour_seconds_total"
    store.add(took, 436.8, guarantee="compute", neighbour_namespace="batch", neighbour_pod="hog")
    store.add("gpu_partition_blind_seconds_total", 30.0, 0.0, guarantee="compute", reason="source_stale")
    store.add("gpu_partition_promised_compute_ratio", 0.25)
    store.add("gpu_partition_demand_info", 1.0, evidence="queueing")
    for labels, _ in store.series:
        labels.update(pod=pod, gpu=gpu, device=gpu)
    return store


def answer(store: Store, asked: Firing | None = None) -> Answer:
    (found,) = Answerer(store, [spec()])([asked or firing()], NOW)
    return found


def test_the_parts_add_up_to_what_was_promised():
    found = answer(starved())
    assert found.promised == Amount(0.25, "share")
    assert isinstance(found.got, Amount)
    assert isinstance(found.taker, Taker)
    assert isinstance(found.taker.took, Amount)
    assert found.got.value == pytest.approx(0.25 * (1 - (436.8 + 33.6) / 840))
    assert found.got.value + found.taker.took.value + 0.25 * 33.6 / 840 == pytest.approx(0.25)
    assert found.taker.name == "batch/hog"
    assert isinstance(found.cause, Cause)
    assert (found.cause.name, round(found.cause.part, 3)) == ("neighbour", 0.929)
    assert found.evidence == Evidence(540.0, 840.0, 30.0, "queueing", "source_stale")


def test_two_scrapes_of_one_exporter_count_once_and_another_cluster_never():
    store = starved()
    for labels, values in list(store.series):
        store.series.append((labels | {"job": "again"}, values))
        store.series.append((labels | {"cluster": "c2"}, {at: 3 * value for at, value in values.items()}))
    assert answer(store) == answer(starved())


def test_a_counter_that_was_reset_counts_from_zero_and_a_newborn_whole():
    store = Store()
    for outcome, now, before in (
        ("kept", 60.0, 1000.0),
        ("broken", 40.0, 5.0),
        ("idle", 0.0, 0.0),
        ("blind", 0.0, 0.0),
    ):
        store.add(SPENT, now, before, guarantee="compute", outcome=outcome)
    evidence = answer(store).evidence
    assert isinstance(evidence, Evidence)
    assert (evidence.broken, evidence.wanted) == (35.0, 95.0)
    for _, values in store.series:
        values.pop(NOW - 900, None)
    evidence = answer(store).evidence
    assert isinstance(evidence, Evidence)
    assert (evidence.broken, evidence.wanted) == (40.0, 100.0)


def test_a_partition_older_than_what_is_remembered_is_not_told_from_its_whole_life():
    store = starved()
    for _, values in store.series:
        values.pop(NOW - 900, None)
    found = answer(store)
    assert found.evidence == Missing("what is measured of it begins later")
    assert found.got == found.evidence


def test_a_partition_that_has_gone_is_missing_and_nothing_is_invented():
    found = answer(Store())
    assert {found.promised, found.got, found.cause, found.taker, found.evidence} == {
        Missing("nothing is measured of it now")
    }


def test_nan_is_no_sample():
    store = starved()
    store.add("gpu_partition_lost_seconds_total", float("nan"), 0.0, guarantee="compute", cause="ghost")
    assert answer(store) == answer(starved())


def test_a_gpus_alert_sums_its_partitions_and_names_the_worst():
    store = starved()
    store.series += starved("train-8").series
    store.add(SPENT, 900.0, 0.0, guarantee="compute", outcome="kept", pod="fine")
    found = answer(store, other(AlertName.GPU, gpu=GPU, node="n03"))
    assert (found.partitions, found.worst) == (2, "ml/train-8")
    assert found.promised == Missing("it is about several partitions")
    assert isinstance(found.evidence, Evidence)
    assert found.evidence.broken == 1080.0


def test_a_nodes_alert_is_about_the_gpus_of_the_node():
    store = starved()
    elsewhere = starved("far", "GPU-2")
    store.series += elsewhere.series
    store.add("gpu_partition_info", 1.0, node="n03")
    store.add("gpu_partition_info", 1.0, node="n04", gpu="GPU-2", device="GPU-2", pod="far")
    found = answer(store, other(AlertName.NODE, node="n03"))
    assert (found.partitions, found.worst) == (1, "ml/train-7")
    assert not any(r"GPU\\-2" in matchers for _, matchers, _ in store.asked)
    both = Answerer(store, [spec()])([other(AlertName.NODE, node="n03"), other(AlertName.NODE, node="n04")], NOW)
    assert [each.worst for each in both] == ["ml/train-7", "ml/far"]
    assert any(r"GPU\\-2" in matchers for _, matchers, _ in store.asked)


def test_a_tenants_alert_is_about_its_namespace_over_a_day():
    store = Store()
    for ns, broken in (("ml", 500.0), ("etl", 900.0)):
        for outcome, now in (("kept", 100.0), ("broken", broken), ("idle", 0.0), ("blind", 0.0)):
            store.add(
                SPENT,
                now,
                0.0,
                guarantee="compute",
                outcome=outcome,
                namespace=ns,
                ago=86400,
            )
    found = answer(store, other(AlertName.TENANT, namespace="ml"))
    assert found.window == 86400
    assert isinstance(found.evidence, Evidence)
    assert found.evidence.broken == 500.0


def test_many_alerts_are_few_queries():
    store = Store()
    firings = [firing(f"p{n}", gpu=f"GPU-{n}", device=f"GPU-{n}") for n in range(250)]
    assert len(Answerer(store, [spec()])(firings, NOW)) == 250
    assert len(store.asked) == 3 * (7 + 4)
    assert max(len(matchers) for _, matchers, _ in store.asked) < 8000


def test_alerts_without_figures_and_of_unknown_slos_say_why():
    store = Store()
    fleet = other(AlertName.FLEET)
    unnamed = Firing(firing().alert.__class__(AlertName.PARTITION, Severity.PAGE, "else", firing().alert.labels), T0)
    found = Answerer(store, [spec()])([fleet, unnamed], NOW)
    assert found == [
        unknown("the alerts of its nodes and GPUs say more"),
        unknown("its SLO is not one of those that are checked here"),
    ]
    assert store.asked == []


@pytest.mark.parametrize(("age", "seconds"), [(0, 900), (300, 900), (301, 1800), (1201, 3600), (9000, 3600)])
def test_the_window_begins_a_little_before_the_alert(age: int, seconds: int):
    assert window(firing(since=NOW - age), NOW) == seconds
    assert window(firing(since=NOW - age, burn="slow"), NOW) == 86400


def summary(found: Answer, asked: Firing | None = None, **kind: str) -> str:
    made = spec(**kind) if kind else spec()  # type: ignore[arg-type]
    return Texts([made], Links()).notice(asked or firing(), found, NOW).annotations["summary"]


def test_a_page_says_what_was_promised_what_was_got_and_who_took_it():
    text = Texts([spec()], Links()).notice(firing(), ANSWER, NOW)
    assert text.annotations == {
        "summary": f"ml/train-7 was promised 0.25 of {GPU} on n03 and got 0.11 in the last 15 min; neighbour batch/hog took 0.13",
        "description": (
            "Fires since 22:13 UTC.\n"
            "Promised: 0.25; got: 0.11.\n"
            "Cause of most of the loss (93%): neighbour.\n"
            "Neighbour: batch/hog, which took 0.13.\n"
            "Evidence of the last 15 min: 9 min broken of 14 min wanted, 0 s not judged; "
            "that it wanted GPU time is known from: queueing.\n"
            "Bad minutes in the last hour: 9."
        ),
        "command": "slicewatch why ml/train-7",
        "runbook_url": "https://wiki/gpu",
        "dashboard": f"https://grafana/d/gpu?var-slo=compute&var-cluster=c1&var-node=n03&var-gpu={GPU}&var-namespace=ml&var-pod=train-7",
    }
    assert text.labels == firing().alert.labels


def test_a_page_without_an_answer_says_what_is_not_known():
    text = Texts([spec()], Links()).notice(firing(), unknown("nobody could be asked"), NOW).annotations
    assert text["summary"] == f"ml/train-7 does not get its compute on {GPU} on n03"
    assert text["description"].count("nobody could be asked") == 4


def test_other_alerts_have_words_of_their_own():
    memory = starved()
    memory.add("gpu_partition_promised_memory_bytes", 10.0 * 2**30)
    assert summary(ANSWER, firing(burn="slow")).startswith("ml/train-7 was promised")
    several = answer(starved(), other(AlertName.GPU, gpu=GPU))
    assert "at once: compute; neighbour batch/hog took 93% of what was lost" in summary(
        several, other(AlertName.GPU, gpu=GPU, node="n03")
    )
    assert "node n03" in summary(several, other(AlertName.NODE, node="n03"))
    assert "20 bad minutes" in summary(unknown(""), other(AlertName.FLEET))
    assert summary(several, other(AlertName.TENANT, namespace="ml")).startswith(
        "The error budget of ml is spent: compute"
    )
    assert "Nothing is measured on node n03" in summary(unknown(""), other(AlertName.TELEMETRY, node="n03"))


def test_coverage_and_guarantees_without_an_amount_are_told_in_time():
    broken = Answer(
        window=900,
        promised=Missing("it has no amount"),
        got=Missing("it has no amount"),
        cause=Cause("xid", 1.0),
        taker=Missing("no neighbour was seen to take it"),
        evidence=Evidence(540.0, 840.0, 0.0),
    )
    texts = Texts([spec(guarantee="availability")], Links())
    found = texts.notice(firing(guarantee="availability"), broken, NOW).annotations["summary"]
    assert (
        found
        == f"ml/train-7 was without its availability on {GPU} on n03 for 9 min of 14 min in the last 15 min; cause: xid"
    )
    blind = Texts([spec(subject=Subject.COVERAGE)], Links())
    seen = Answer(
        **{name: getattr(broken, name) for name in ("window", "promised", "got", "cause", "taker")},
        evidence=Evidence(0, 0, 700, "", "source_stale"),
    )
    assert (
        blind.notice(firing(), seen, NOW)
        .annotations["summary"]
        .endswith("cannot be told: blind for 12 min in the last 15 min (source_stale)")
    )


def test_a_tenants_name_is_harmless_in_every_text():
    evil = "x; rm -rf ~ <!channel> \x1b[31m {{ . }} $(id)\n" + "y" * 400
    found = Texts([spec()], Links("https://r/")).notice(firing(evil, namespace="`id`"), ANSWER, NOW)
    for text in found.annotations.values():
        assert not any(c in text for c in "<>`$\x1b{}")
    assert "%0A" in found.annotations["dashboard"]
    assert found.labels["pod"] == evil  # an identity is not touched
    assert found.annotations["command"].count(" ") == 2


def test_times_are_written_as_people_read_them():
    assert list(starmap(clock, [(T0, NOW), (T0 - 86400, NOW)])) == ["22:13 UTC", "2023-11-13 22:13 UTC"]
    assert [span(seconds) for seconds in (0, 119, 120, 3600, 86400)] == ["0 s", "119 s", "2 min", "60 min", "24 h"]
    assert clean("a/b-c.d") == "a/b-c.d"
