"""`slicewatch slo rules` as a user types it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
import yaml

from slo import specfile
from slo.rules import cli
from tests.slo.rules.made import asked
from toolkit.errors import ConfigError

EASY = """\
apiVersion: slicewatch/v1alpha1
kind: PartitionSLO
metadata: {name: easy}
spec:
  guarantee: compute
  timeWindow: [{duration: 30d, isRolling: true}]
  budgetingMethod: Timeslices
  objectives:
    - {displayName: all, target: 0.9, severity: {fast: page, slow: ticket}}
"""


def run(*argv: str) -> tuple[str, str]:
    """Return what is written to standard output and to standard error."""
    out, err = io.StringIO(), io.StringIO()
    assert cli.main(argv, {}, out, err) == 0
    return out.getvalue(), err.getvalue()


def test_the_shipped_specs_become_rules_without_a_word_on_standard_error():
    text, said = run()
    assert said == ""
    assert text.startswith("# Made by: slicewatch slo rules\n# Do not edit")
    names = [group["name"] for group in yaml.safe_load(text)["groups"]]
    assert [name for name in names if name.count("-") == 2] == [
        *(f"gpu-slo-{spec.name}" for spec in specfile.shipped()),
        "gpu-slo-telemetry",
    ]


@pytest.mark.real
@pytest.mark.timeout(240)
def test_the_shipped_rules_and_their_tests_pass_promtool(tmp_path: Path):
    rules, tests = tmp_path / "slo.yaml", tmp_path / "slo.test.yaml"
    run("--output", str(rules))
    run("--tests", "--rules-file", "slo.yaml", "--output", str(tests))
    assert "SUCCESS" in asked("promtool", "check", "rules", "--lint=all", "--lint-fatal", str(rules))
    assert "SUCCESS" in asked("promtool", "test", "rules", str(tests))


@pytest.mark.real
def test_the_shipped_alertmanager_configuration_passes_amtool(tmp_path: Path):
    file = tmp_path / "alertmanager.yml"
    run("--alertmanager", "--team", "team-a=inbox", "--output", str(file))
    assert "SUCCESS" in asked("amtool", "check-config", str(file))
    read = yaml.safe_load(file.read_text())
    assert "inbox" in {receiver["name"] for receiver in read["receivers"]}


@pytest.mark.parametrize("kind", ["prometheus", "operator"])
def test_split_writes_a_file_for_each_slo_and_together_they_are_the_whole(kind: str, tmp_path: Path):
    run("--format", kind, "--split", str(tmp_path / "new" / "folder"))
    files = sorted((tmp_path / "new" / "folder").iterdir())
    assert [file.stem for file in files] == sorted([*(spec.name for spec in specfile.shipped()), "telemetry"])
    read = [yaml.safe_load(file.read_text()) for file in files]
    parts = [group for one in read for group in (one["spec"] if kind == "operator" else one)["groups"]]
    whole = yaml.safe_load(run()[0])["groups"]
    assert sorted(parts, key=lambda group: group["name"]) == sorted(whole, key=lambda group: group["name"])
    if kind == "operator":
        assert len({one["metadata"]["name"] for one in read}) == len(read)


def test_links_go_where_the_user_says(tmp_path: Path):
    text, _ = run("--runbook-url", "https://wiki.test/", "--dashboard-url", "https://grafana.test/d/x")
    assert "runbook_url: https://wiki.test/gpupartitionpromiseburn" in text
    assert "dashboard: https://grafana.test/d/x?var-slo=compute&" in text


def test_what_is_left_out_is_said_on_standard_error_and_in_the_file(tmp_path: Path):
    (tmp_path / "easy.yaml").write_text(EASY)
    text, said = run(str(tmp_path))
    assert said.startswith("notice: easy: all: left out 1h with 5m: ")
    assert said.removeprefix("notice: ").strip() in text


def test_the_head_quotes_the_command_so_that_it_can_be_run_again(tmp_path: Path):
    folder = tmp_path / "two words\nand a line"
    folder.mkdir()
    (folder / "easy.yaml").write_text(EASY)
    text, _ = run(str(folder))
    assert yaml.safe_load(text)["groups"]
    assert "'" in text.splitlines()[0]


@pytest.mark.parametrize(
    ("argv", "problem"),
    [
        (["--tests", "--alertmanager"], "two outputs"),
        (["--split", "x", "--tests"], "--split writes rules into a folder"),
        (["--split", "x", "--output", "y"], "--split writes rules into a folder"),
        (["--format", "grafana"], "invalid choice: 'grafana'"),
        (["--outptu", "x"], "unknown flag --outptu"),
        (["--alertmanager", "--team", "x"], '--team "x": expected NAMESPACE=RECEIVER'),
        (["no/such.yaml"], "no/such.yaml"),
        (["--output", "/dev/null/x"], "/dev/null/x"),
    ],
)
def test_a_mistake_is_one_clear_error(argv: list[str], problem: str):
    with pytest.raises(ConfigError, match=problem.replace("(", r"\(")):
        run(*argv)


def test_an_slo_may_not_take_the_name_of_the_watching(tmp_path: Path):
    (tmp_path / "telemetry.yaml").write_text(EASY.replace("easy", "telemetry"))
    with pytest.raises(ConfigError, match="may not be called telemetry"):
        run(str(tmp_path))
