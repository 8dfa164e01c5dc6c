"""What is allowed in an objective and still wrong; the expected false pages against what a simulation of the study gave."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from slo import specfile, validate
from slo.burnrate import BURNS, threshold
from slo.lint import crossings, false_pages, findings
from slo.spec import Alerting, Matcher, Objective, Op, PartitionSLO, Severity, Sli, Subject
from toolkit.errors import ConfigError

DAY = 86400
SLI = Sli(subject=Subject.GUARANTEE, guarantee="compute", dimension="compute", allow=0.1)


def spec(
    target: float, floor: int = 3, days: int = 30, fast: Severity = Severity.PAGE, slow: Severity = Severity.TICKET
):
    objective = Objective(name="all", target=target, fast=fast, slow=slow)
    return PartitionSLO(
        name="s",
        description="d",
        sli=SLI,
        period=days * DAY,
        objectives=(objective,),
        alerting=Alerting(min_bad_slices=floor),
    )


def told(one: PartitionSLO, partitions: int = 1) -> list[str]:
    return [str(found) for found in findings([one], partitions)]


@pytest.mark.parametrize(
    ("target", "floor", "low", "high"),
    # The study simulated 10,000 healthy partitions for a week: 50,242 pages, 706 and 2; 0 and 2 at the lower targets.
    [(0.999, 1, 40_000, 60_000), (0.999, 3, 500, 900), (0.999, 5, 0.5, 5), (0.99, 3, 0, 0.5), (0.995, 3, 0.2, 6)],
)
def test_expected_false_pages_are_those_of_the_simulation(target: float, floor: int, low: float, high: float):
    one = spec(target, floor)
    assert low <= false_pages(one, one.objectives[0], 10_000) <= high


def test_the_rate_is_what_random_minutes_give():
    one = threshold(BURNS[0], Severity.PAGE, 0.99, 30 * DAY, 3)
    bad = 0.06
    rng = np.random.default_rng(7)
    minutes = rng.random(2_000_000) < bad
    counted = np.convolve(minutes, np.ones(60, dtype=np.int64))[59:-59] > one.long_above
    measured = int((~counted[:-1] & counted[1:]).sum()) / len(counted)
    assert crossings(one, bad) == pytest.approx(measured, rel=0.1)


def test_what_can_never_fire_is_told_with_the_target_at_which_it_could():
    (line, *_) = told(spec(0.9))
    assert line == "s/all: the 1h burn can never fire: factor 14.4 × 0.1 is 1 or more; use a target above 0.9306"


def test_one_bad_minute_that_pages_is_told():
    assert any("the 1h burn pages for one bad minute" in line for line in told(spec(0.999, floor=1)))
    assert not any("one bad minute" in line for line in told(spec(0.999, floor=3)))


def test_false_pages_are_told_for_the_fleet_that_they_are_asked_for():
    assert told(spec(0.999), 1) == []
    assert "698 false pages a week are expected of 10,000 healthy partitions" in told(spec(0.999), 10_000)[0]


def test_tickets_are_no_pages():
    assert told(spec(0.999, fast=Severity.TICKET), 10_000) == []


def test_a_period_so_short_that_windows_fire_within_the_budget_is_told():
    (first, *_) = told(spec(0.99, days=7))
    assert first == "s: over 7d the windows 24h, 72h fire while the budget is not burnt too fast (factor below 1)"
    assert not any("factor below 1" in line for line in told(spec(0.99, days=30)))


def test_a_slow_burn_that_pages_alone_is_told():
    assert told(spec(0.99, fast=Severity.TICKET, slow=Severity.PAGE)) == [
        "s/all: a slow burn pages and a fast one does not"
    ]


def test_the_shipped_objectives_have_no_warning_and_less_than_one_false_page_a_week_at_ten_thousand():
    shipped = specfile.shipped()
    assert findings(shipped, 10_000) == []
    assert sum(false_pages(one, objective, 10_000) for one in shipped for objective in one.objectives) < 4


def run(*argv: str) -> tuple[int, str]:
    out = io.StringIO()
    return validate.main(argv, {}, out, io.StringIO()), out.getvalue()


def test_the_command_says_in_a_line_that_all_is_well():
    status, said = run()
    assert status == 0
    assert said.startswith("6 SLOs with 10 objectives: well-formed, 0 warnings;")
    assert said.count("\n") == 1


def test_strict_makes_a_warning_a_failure(tmp_path: Path):
    file = tmp_path / "low.yaml"
    source = Path(specfile.__file__).parent / "specs" / "availability.yaml"
    file.write_text(source.read_text().replace("target: 0.995", "target: 0.9"))
    assert run(str(file))[0] == 0
    status, said = run("--strict", str(file))
    assert status == 1
    assert said.startswith("warning: availability/all: the 1h burn can never fire")


def test_json_has_the_same():
    status, said = run("--json", "--partitions=10000")
    found = json.loads(said)
    assert status == 0
    assert found["warnings"] == []
    assert len(found["slos"]) == 6


@pytest.mark.parametrize("wrong", ["0", "many", "-1"])
def test_a_fleet_that_is_no_number_is_refused(wrong: str):
    with pytest.raises(ConfigError, match="--partitions"):
        run(f"--partitions={wrong}")


def named(name: str, *classes: str, select: tuple[Matcher, ...] = (), guarantee: str = "compute") -> PartitionSLO:
    one: PartitionSLO = spec(0.99)
    return replace(
        one,
        name=name,
        sli=replace(SLI, guarantee=guarantee),
        select=select,
        objectives=(replace(one.objectives[0], classes=classes),),
    )


ML, WEB = Matcher("namespace", Op.EQUAL, "ml"), Matcher("namespace", Op.EQUAL, "web")


@pytest.mark.parametrize(
    ("one", "other", "doubled"),
    [
        (named("a"), named("b"), True),
        (named("a", "isolated"), named("b"), True),
        (named("a", "isolated"), named("b", "isolated", "declared"), True),
        (named("a", "isolated"), named("b", "declared"), False),
        (named("a"), named("b", guarantee="memory"), False),
        (named("a", select=(ML,)), named("b", select=(WEB,)), False),
        (named("a", select=(ML,)), named("b", select=(ML,)), True),
        (named("a", select=(ML,)), named("b", select=(Matcher("namespace", Op.NOT_EQUAL, "ml"),)), False),
        (named("a", select=(Matcher("namespace", Op.MATCHES, "m.*"),)), named("b", select=(WEB,)), False),
        (named("a", select=(Matcher("sharing", Op.EQUAL, "mig"),)), named("b", select=(WEB,)), True),
    ],
)
def test_partitions_that_two_objectives_judge_are_told(one: PartitionSLO, other: PartitionSLO, doubled: bool):  # noqa: FBT001
    said = [str(found) for found in findings([one, other], 1)]
    assert said == (
        ["b: it judges partitions that a judges as well, so that one breach is told twice; make their select differ"]
        if doubled
        else []
    )
