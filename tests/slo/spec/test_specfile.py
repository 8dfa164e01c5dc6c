"""Reading objectives: what a file says becomes a value, and every fault of it is told at once, with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from slo import specfile
from slo.burnrate import thresholds
from slo.spec import Matcher, Op, Severity, Subject
from toolkit.errors import ConfigError

GOOD = """\
apiVersion: slicewatch/v1alpha1
kind: PartitionSLO
metadata:
  name: compute-eu
  labels: {team: gpu}
spec:
  description: Shares.
  guarantee: compute
  allow: 0.2
  wanted: 5s
  select: 'sharing=~"mig|mps", namespace!="kube-system", cluster="eu\\"1"'
  groupBy: [cluster]
  timeWindow: [{duration: 4w, isRolling: true}]
  budgetingMethod: Timeslices
  objectives:
    - displayName: hard
      match: {class: [isolated, hard_cap]}
      target: 0.99
      severity: {fast: page, slow: none}
    - displayName: rest
      targetPercent: 95.5
  alerting:
    minBadSlices: 4
    keepFiringFor: 10m
    runbookUrl: https://runbooks.example.org/gpu
    labels: {team: gpu}
"""


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        specfile.parse(text, "slo.yaml")
    return caught.value.problems


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_a_file_becomes_a_value():
    spec = specfile.parse(GOOD)
    assert (spec.name, spec.labels, spec.period, spec.group_by) == (
        "compute-eu",
        {"team": "gpu"},
        28 * 86400,
        ("cluster",),
    )
    assert (spec.sli.subject, spec.sli.guarantee, spec.sli.dimension) == (Subject.GUARANTEE, "compute", "compute")
    assert (spec.sli.allow, spec.sli.wanted) == (0.2, 5.0)
    assert spec.select == (
        Matcher("sharing", Op.MATCHES, "mig|mps"),
        Matcher("namespace", Op.NOT_EQUAL, "kube-system"),
        Matcher("cluster", Op.EQUAL, 'eu"1'),
    )
    hard, rest = spec.objectives
    assert (hard.classes, hard.target, hard.fast, hard.slow) == (
        ("isolated", "hard_cap"),
        0.99,
        Severity.PAGE,
        Severity.NONE,
    )
    assert (rest.classes, rest.target, rest.fast, rest.slow) == ((), 0.955, Severity.PAGE, Severity.TICKET)
    assert (spec.alerting.min_bad_slices, spec.alerting.keep_firing_for) == (4, 600)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "target: 0.99",
            "target: 99",
            "slo.yaml:18:15: 99 is no target; expected a ratio above 0 and below 1; write 0.99 for 99 %",
        ),
        ("target: 0.99", "target: 1", "slo.yaml:18:15: 1 is no target; expected a ratio above 0 and below 1"),
        ("guarantee: compute", "guarantee: compute-share", 'slo.yaml:8:14: "compute-share"'),
        (
            "guarantee: compute",
            "guarantee: compute\n  coverage: compute",
            "slo.yaml:9:13: guarantee and coverage are both written",
        ),
        ("[isolated, hard_cap]", "[isolated, hardcap]", 'slo.yaml:17:33: "hardcap", did you mean "hard_cap"?'),
        ("severity: {fast: page", "severity: {fast: pager", 'slo.yaml:19:24: "pager", did you mean "page"?'),
        (
            "duration: 4w",
            "duration: 36h",
            'slo.yaml:13:27: "36h"; expected whole days from 1d to 90d, such as 30d or 4w',
        ),
        ("isRolling: true", "isRolling: false", "slo.yaml:13:16: a calendar window; expected isRolling: true"),
        ("groupBy: [cluster]", "groupBy: [cluster, pod]", 'slo.yaml:12:22: "pod" is a label of ours'),
        ("name: compute-eu", "name: Compute EU", "slo.yaml:4:9: "),
        ('sharing=~"mig|mps"', 'sharding=~"mig|mps"', "slo.yaml:11:11: "),
        ('"mig|mps"', '"(?=mig)"', "a pattern that RE2 and Python read alike"),
        ('"mig|mps"', '"(mig"', "a pattern that compiles"),
        ('"kube-system", cl', '"kube-system" cl', "a comma between matchers (character 46)"),
        (
            "displayName: rest",
            "displayName: rest\n      match: {class: [isolated]}",
            "the class isolated has an objective already",
        ),
        ("displayName: rest", "displayName: hard", "is written twice"),
        ("runbookUrl: https", "runbookUrl: htps", "expected a URL such as"),
        ("    labels: {team: gpu}\n", "    labels: {severity: high}\n", '"severity" cannot be a label here'),
        ("  budgetingMethod: Timeslices\n", "", 'the key "budgetingMethod" is missing'),
    ],
)
def test_a_fault_is_told_with_its_place_and_what_was_expected(old: str, new: str, expected: str):
    (told,) = problems(changed(old, new))
    assert expected in told, told


def test_a_misspelt_key_is_unknown_and_the_right_one_missing():
    told = problems(changed("budgetingMethod: Timeslices", "budgetingMethd: Timeslices"))
    assert any('unknown key "budgetingMethd", did you mean "budgetingMethod"?' in line for line in told), told
    assert any('the key "budgetingMethod" is missing' in line for line in told), told


def test_all_faults_are_told_at_once():
    told = problems(changed("target: 0.99", "target: 99").replace("guarantee: compute", "guarantee: speed"))
    assert [line.split(": ")[0] for line in told] == ["slo.yaml:8:14", "slo.yaml:18:15"]


def test_an_empty_document_says_what_is_missing():
    assert {line.rpartition(": ")[2] for line in problems("")} >= {
        'the key "spec" is missing',
        'the key "kind" is missing',
    }


def test_wanted_is_not_for_coverage():
    assert "wanted is written for coverage" in problems(changed("guarantee: compute", "coverage: compute"))[0]


def test_the_shipped_objectives_are_the_five_guarantees_and_coverage():
    found = {spec.name: spec for spec in specfile.shipped()}
    assert sorted(found) == ["availability", "compute", "conformance", "coverage", "isolation", "memory"]
    assert all(spec.sli.guarantee == name for name, spec in found.items() if name != "coverage")
    assert found["coverage"].sli.subject is Subject.COVERAGE
    assert found["memory"].sli.dimension == "memory"


def test_every_shipped_threshold_can_fire_and_none_by_one_bad_minute():
    for spec in specfile.shipped():
        for objective in spec.objectives:
            for found in thresholds(spec, objective):
                assert found.possible, (spec.name, objective.name, found)
                assert found.least_bad >= 3


def test_no_coverage_objective_pages():
    (coverage,) = (spec for spec in specfile.shipped() if spec.sli.subject is Subject.COVERAGE)
    assert {objective.fast for objective in coverage.objectives} == {Severity.NONE}


def test_a_folder_is_all_of_its_files_and_names_are_told_apart(tmp_path: Path):
    (tmp_path / "a.yaml").write_text(GOOD)
    (tmp_path / "b.yml").write_text(GOOD.replace("compute-eu", "compute-us"))
    assert [spec.name for spec in specfile.load_all([tmp_path])] == ["compute-eu", "compute-us"]
    (tmp_path / "c.yaml").write_text(GOOD)
    with pytest.raises(ConfigError, match=r"c\.yaml: the name \"compute-eu\" is that of .*a\.yaml"):
        specfile.load_all([tmp_path])


def test_a_folder_without_a_file_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"no \.yaml file is in it"):
        specfile.load_all([tmp_path])
