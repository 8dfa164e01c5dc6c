"""What begins, goes on, ends and is forgotten; who is shown in a storm; who is to blame for a refused batch."""

from __future__ import annotations

import json
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from slo.alertmanager import storm
from slo.alertmanager.batches import Reply, Verdict, deliver
from slo.alertmanager.notice import Entry, Key, Notice, identity
from slo.alertmanager.payload import body, timestamp
from slo.alertmanager.reconcile import reconcile
from slo.spec import Severity
from slo.verdicts import AlertName
from tests.slo.alertmanager.made import T0, firing, other


def key(name: str) -> Key:
    return (("alertname", name),)


def notice(name: str, since: int = T0, text: str = "") -> Notice:
    return Notice({"alertname": name, "empty": ""}, {"summary": text}, since)


def test_an_alert_keeps_its_beginning_whatever_a_later_evaluator_says():
    first = reconcile({}, [notice("A", T0)], T0, resolved_for=900, hold=False)
    later = reconcile(first, [notice("A", T0 + 500, "new words")], T0 + 500, resolved_for=900, hold=False)
    assert later == {key("A"): Entry(key("A"), {"summary": "new words"}, T0)}


def test_an_alert_that_no_longer_fires_has_ended_and_is_forgotten_in_time():
    known = {key("A"): Entry(key("A"), {}, T0)}
    ended = reconcile(known, [], T0 + 60, resolved_for=900, hold=False)
    assert ended[key("A")].ended_at == T0 + 60
    assert reconcile(ended, [], T0 + 959, resolved_for=900, hold=False) == ended
    assert reconcile(ended, [], T0 + 960, resolved_for=900, hold=False) == {}


def test_nothing_ends_on_an_evaluation_that_was_not_complete():
    known = {key("A"): Entry(key("A"), {}, T0)}
    assert reconcile(known, [], T0 + 6000, resolved_for=900, hold=True) == known


def test_an_alert_that_fires_again_has_a_new_beginning():
    known = {key("A"): Entry(key("A"), {}, T0, ended_at=T0 + 60)}
    assert (
        reconcile(known, [notice("A", T0 + 300)], T0 + 300, resolved_for=900, hold=False)[key("A")].starts_at
        == T0 + 300
    )


def test_a_clock_that_is_set_back_makes_no_end_in_the_future():
    known = {key("A"): Entry(key("A"), {}, T0, ended_at=T0 + 3600)}
    after = reconcile(known, [], T0, resolved_for=900, hold=False)
    assert after[key("A")].ended_at == T0


names = st.sampled_from("ABCDE")


@given(st.lists(st.tuples(st.sets(names), st.booleans(), st.integers(0, 2000)), max_size=12))
def test_what_fires_is_active_and_nothing_ends_but_by_a_complete_round(rounds: list[tuple[set[str], bool, int]]):
    known: dict[Key, Entry] = {}
    now = T0
    for fires, hold, passed in rounds:
        now += passed
        before = known
        known = reconcile(before, [notice(name, now) for name in sorted(fires)], now, resolved_for=900, hold=hold)
        active = {key for key, entry in known.items() if entry.active}
        assert {key(name) for name in fires} <= active
        was_active = {key for key, entry in before.items() if entry.active}
        assert active == {key(name) for name in fires} | (was_active if hold else set())
        assert all(known[each].starts_at == before[each].starts_at for each in active & was_active)
        assert was_active <= known.keys()  # an end is told for a while


def test_a_firing_alert_ends_minutes_after_the_peers_now_and_a_resolved_one_when_it_ended():
    entries = [Entry(key("A"), {"summary": "é"}, T0), Entry(key("B"), {}, T0, T0 + 30)]
    found = json.loads(body(entries, T0 + 60.5, 240, ahead=-20.0, generator_url="http://me"))
    assert found[0] == {
        "labels": {"alertname": "A"},
        "annotations": {"summary": "é"},
        "startsAt": "2023-11-14T22:13:20.000Z",
        "endsAt": "2023-11-14T22:18:00.500Z",
        "generatorURL": "http://me",
    }
    assert found[1]["endsAt"] == "2023-11-14T22:13:30.000Z"


def test_no_alert_begins_after_its_end():
    found = json.loads(body([Entry(key("A"), {}, T0 + 9000)], T0, 240))
    assert found[0]["startsAt"] == found[0]["endsAt"]
    assert timestamp(1e18).startswith("9999-12-31")
    assert timestamp(-5) == "1970-01-01T00:00:00.000Z"


def test_text_that_is_no_unicode_is_sent_all_the_same():
    assert b"?" in body([Entry(key("A"), {"summary": "\ud800"}, T0)], T0, 240)


def pods(chosen: tuple[object, ...]) -> list[str]:
    return [each.alert.labels["pod"] for each in chosen]  # type: ignore[attr-defined]


def test_the_worst_are_shown_and_the_others_counted():
    fires = [firing(f"p{n}", bad=n) for n in range(10)]
    chosen = storm.choose(fires, set(), 3)
    assert pods(chosen.shown) == ["p9", "p8", "p7"]
    (said,) = storm.notices(chosen.hidden, {"cluster": "c1"}, 3, T0)
    assert said.annotations["summary"] == "7 more page alerts are not shown (7 GPUPartitionPromiseBurn)"
    assert said.labels == {"cluster": "c1", "alertname": storm.ALERT, "severity": "page", "slo": "not-shown"}


def test_who_is_shown_stays_until_it_ends():
    before = {identity(firing(f"p{n}").alert.labels) for n in range(3)}
    worse = [firing(f"q{n}", bad=60) for n in range(5)] + [firing(f"p{n}", bad=1) for n in range(3)]
    assert sorted(pods(storm.choose(worse, before, 3).shown)) == ["p0", "p1", "p2"]
    assert sorted(pods(storm.choose(worse[:-1], before - {identity(firing("p2").alert.labels)}, 3).shown)) == [
        "p0",
        "p1",
        "q0",
    ]


def test_places_are_kept_for_the_known_while_an_evaluation_is_not_complete():
    before = {identity(firing(f"p{n}").alert.labels) for n in range(3)}
    assert storm.choose([firing("new", bad=60)], before, 3).shown == ()


def test_tickets_do_not_take_the_places_of_pages_and_the_fleet_is_always_shown():
    fires = [firing(f"t{n}", severity=Severity.TICKET, bad=60) for n in range(9)] + [firing("p", bad=1)]
    fires.append(other(AlertName.FLEET))
    shown = storm.choose(fires, set(), 1).shown
    assert {each.alert.severity for each in shown if each.alert.name is AlertName.PARTITION} == set(Severity) - {
        Severity.NONE
    }
    assert any(each.alert.name is AlertName.FLEET for each in shown)


@given(st.lists(st.dictionaries(st.integers(0, 30), st.integers(0, 60)), max_size=10), st.integers(0, 8))
def test_no_alert_is_lost_doubled_or_taken_back_in_a_storm(rounds: list[dict[int, int]], cap: int):
    before: set[Key] = set()
    for fires in rounds:
        firings = [firing(f"p{n}", bad=bad) for n, bad in fires.items()]
        chosen = storm.choose(firings, before, cap)
        shown = {identity(each.alert.labels) for each in chosen.shown}
        hidden = {identity(each.alert.labels) for each in chosen.hidden}
        everybody = {identity(each.alert.labels) for each in firings}
        assert shown | hidden == everybody
        assert not shown & hidden
        assert before & everybody <= shown
        assert len(shown) <= cap
        assert not hidden or len(shown) + len(before - everybody) >= cap
        before = shown


def entries(count: int) -> list[Entry]:
    return [Entry((("n", str(n)),), {}, T0) for n in range(count)]


@given(st.integers(1, 300), st.sets(st.integers(0, 299), max_size=8), st.integers(1, 64), st.booleans())
def test_the_refused_are_found_and_all_others_are_accepted(count: int, bad: set[int], batch: int, whole: bool):  # noqa: FBT001
    kept: set[Key] = set()
    every = {entry.key for entry in entries(count)}
    wrong = {key for n, key in enumerate(entry.key for entry in entries(count)) if n in bad}

    def post(part: Sequence[Entry]) -> Reply:
        assert len(part) <= batch
        keys = {entry.key for entry in part}
        if not (keys & wrong and whole):  # a body that is refused as a whole, or in part
            kept.update(keys - wrong)
        return Reply(Verdict.REFUSED, "bad") if keys & wrong else Reply(Verdict.ACCEPTED)

    done = deliver(entries(count), post, batch=batch, most=10_000)
    assert {entry.key for entry, _ in done.refused} == wrong
    assert {entry.key for entry in done.accepted} == kept == every - wrong
    assert len(done.accepted) + len(done.refused) == count
    assert done.failure is None


def test_a_failure_ends_a_delivery_and_keeps_what_was_accepted():
    replies = iter([Reply(Verdict.ACCEPTED), Reply(Verdict.FAILED, "gone")])
    done = deliver(entries(6), lambda _: next(replies), batch=2)
    assert (len(done.accepted), done.failure, done.posts) == (2, "gone", 2)


def test_a_delivery_has_an_end_when_everything_is_refused():
    done = deliver(entries(1000), lambda _: Reply(Verdict.REFUSED, "no"), batch=1000, most=50)
    assert done.posts == 50
    assert done.refused
