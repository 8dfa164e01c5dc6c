"""What would have paged: inhibition played on episodes, the table of what-ifs, and one screen looked at."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from slo import specfile
from slo.backtest import cli
from slo.backtest.notified import noisiest, notified
from slo.spec import Severity
from slo.verdicts import Alert, AlertName, Episode
from tests.slo.check.test_check import END, MINUTES, Store, story
from tests.slo.parity.histories import START, Series
from toolkit.errors import ConfigError, UnreachableError

PLACE = {"node": "n1", "gpu": "G", "device": "G", "namespace": "ml", "pod": "p", "container": "c"}


def episode(name: AlertName, since: int, until: int | None, severity: str = "page", **labels: str) -> Episode:
    keep = {AlertName.GPU: ("node", "gpu"), AlertName.NODE: ("node",), AlertName.FLEET: ()}.get(name, tuple(PLACE))
    own = {key: PLACE[key] for key in keep} | labels
    alert = Alert(name, Severity(severity), "compute", {"alertname": name.value, "severity": severity, **own})
    return Episode(alert, since * 60, None if until is None else until * 60, (since - 5) * 60)


def told(*episodes: Episode) -> list[tuple[str, str]]:
    return [(one.episode.alert.name.value, one.episode.alert.severity.value) for one in notified(episodes, (), 6000)]


def test_an_alert_under_a_wider_one_for_its_whole_life_is_not_told():
    inside = episode(AlertName.PARTITION, 10, 20)
    assert told(episode(AlertName.GPU, 9, 21), inside) == [("GPUWidePromiseBurn", "page")]
    assert told(episode(AlertName.NODE, 10, 20), inside) == [("GPUNodeWidePromiseBurn", "page")]
    assert told(episode(AlertName.FLEET, 10, None), inside) == [("GPUFleetPromiseBurn", "page")]


@pytest.mark.parametrize(("since", "until"), [(11, 25), (5, 15), (30, 40)])
def test_an_alert_that_is_open_for_a_while_is_told(since: int, until: int):
    assert len(told(episode(AlertName.GPU, since, until), episode(AlertName.PARTITION, 10, 20))) == 2


def test_another_gpus_trouble_hides_nothing():
    assert len(told(episode(AlertName.GPU, 0, 90, gpu="H"), episode(AlertName.PARTITION, 10, 20))) == 2


def test_two_wider_ones_after_one_another_hide_together():
    wide = (episode(AlertName.GPU, 9, 15), episode(AlertName.GPU, 15, 30))
    assert told(*wide, episode(AlertName.PARTITION, 10, 20)) == [("GPUWidePromiseBurn", "page")] * 2


def test_a_page_hides_the_tickets_of_its_partition_and_of_no_other():
    page = episode(AlertName.PARTITION, 9, 30)
    assert told(page, episode(AlertName.UNMET, 10, 20, "ticket")) == [("GPUPartitionPromiseBurn", "page")]
    assert len(told(page, episode(AlertName.UNMET, 10, 20, "ticket", pod="other"))) == 2


def test_a_tenants_ticket_is_hidden_by_nothing_wider():
    assert len(told(episode(AlertName.FLEET, 0, 90), episode(AlertName.TENANT, 10, 20, "ticket"))) == 2


def test_lengths_are_those_of_the_episode():
    ended, going = notified(
        (episode(AlertName.PARTITION, 10, 20), episode(AlertName.PARTITION, 30, None, pod="q")), (), 6000
    )
    assert (ended.lasted, ended.detection) == (600, 300)
    assert going.lasted == 6000 - 1800


def test_the_noisiest_come_first():
    found = notified(
        [episode(AlertName.PARTITION, at, at + 1, pod=pod) for at, pod in ((1, "a"), (3, "b"), (5, "b"))], (), 6000
    )
    assert noisiest(found, 1) == [("ml/b", 2)]


def play(found: list[Series], *flags: str) -> str:
    out = io.StringIO()
    argv = ["--prometheus=http://p", f"--at={END}", "--since=1d", *flags]
    assert cli.main(argv, {}, out, connected=lambda _flags: Store(found)) == 0
    return out.getvalue()


def test_the_screen_says_first_how_often_and_how_soon():
    first, second, *rest = play(story(20)).splitlines()
    assert (
        first
        == "Would have paged once and written 0 tickets. From the first bad minute to the page: 8 min at the median."
    )
    assert second == (
        "1 partition at http://prometheus:9090, 3.98 h from 2023-11-14 22:01 UTC to 2023-11-15 02:00 UTC; after inhibition"
    )
    assert any("ml/train-0 GPU-1 n1" in line and "still firing" in line for line in rest)


def test_a_quiet_history_would_have_paged_nobody():
    assert play(story(0)).startswith("Would have paged nobody and written 0 tickets.\n")


def test_what_if_shows_every_target_and_allowance_beside_what_is():
    lines = [line.split() for line in play(story(5), "--target=0.95,0.995", "--allow=0.1").splitlines()]
    rows = {tuple(line[1:4]): line for line in lines if line[:1] == ["compute"] and len(line) > 8}
    assert any("0.995" in row for row in rows)
    compute = [line for line in lines if line[:1] == ["compute"]]
    assert len(compute) == 1 + 1 + 2 + 1  # rates, as it is, two targets, one allowance


def test_a_stricter_target_pages_and_a_laxer_one_does_not():
    found = json.loads(play(story(5), "--json", "--target=0.95,0.995"))
    pages = {one["target"]: one["pages"] for one in found["slos"] if one["slo"] == "compute"}
    assert pages == {None: 0, 0.95: 0, 0.995: 1}
    (page,) = [one["notified"] for one in found["slos"] if one["slo"] == "compute" and one["target"] == 0.995]
    assert page[0]["detection_seconds"] == 240


def test_more_allowed_in_a_minute_is_less_bad():
    half = story(0)
    for one in half:
        if one.labels.get("outcome") in {"kept", "broken"}:  # half of each minute is broken
            one.points = [(at, (at - START) / 2) for at, _ in one.points]
    found = json.loads(play(half, "--json", "--allow=0.6"))
    pages = {one["allow"]: one["pages"] for one in found["slos"] if one["slo"] == "compute"}
    assert pages == {None: 1, 0.6: 0}
    assert MINUTES == 240


@pytest.mark.parametrize("flag", ["--target=1", "--target=0", "--target=x", "--allow=-0.1", "--allow=1,0.5"])
def test_wrong_ratios_are_refused(flag: str):
    with pytest.raises(ConfigError, match="expected ratios"):
        play(story(0), flag)


def test_nothing_to_play_on_is_told():
    with pytest.raises(UnreachableError, match="no counters"):
        play([])


def test_two_sets_stand_side_by_side_on_the_same_history(tmp_path: Path):
    strict = (Path(specfile.__file__).parent / "specs" / "compute.yaml").read_text().replace("0.99\n", "0.995\n")
    (tmp_path / "strict.yaml").write_text(strict)
    said = play(story(5), f"--against={tmp_path}")
    assert said.startswith("Would have paged nobody")  # the first set is what was asked about
    rows = {tuple(line.split()[:2]): line.split()[2] for line in said[said.index("SIDE BY SIDE") :].splitlines()[1:]}
    assert (rows["compute", "this"], rows["compute", "against"]) == ("0", "1")
    assert (rows["all", "this"], rows["all", "against"]) == ("0", "1")
    assert ("memory", "this") in rows
    assert ("memory", "against") not in rows
    found = json.loads(play(story(5), "--json", f"--against={tmp_path}"))
    (other,) = [one for one in found["slos"] if one["set"] == "against"]
    assert (other["slo"], other["pages"]) == ("compute", 1)
