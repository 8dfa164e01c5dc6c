"""Scenario files are read strictly: what is wrong is said with file and key path, all of it at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from exporter.simulator.gpus import BOARDS
from exporter.simulator.scenario import MOST, load, names, parse
from toolkit.errors import ConfigError

GOOD = """
about = "One GPU in two instances and one in slots."
[node]
name = "gpu-test-0"
mig_strategy = "mixed"
[[gpu]]
name = "h100-0"
board = "H100-SXM-80GB"
mig = ["3g.40gb", "2g.20gb"]
[[gpu]]
name = "l40s-0"
board = "L40S-48GB"
sharing = "time-slicing"
replicas = 4
[[pod]]
namespace = "search"
name = "embedder-0"
workload = "Deployment/embedder"
[[pod.container]]
name = "main"
holds = ["h100-0/0"]
[[pod.container.process]]
command = "python"
demand = "closed"
burst_ms = 10
think_ms = 5
memory_gib = 4
phase = [{ at = 10, demand = "idle" }]
[[event]]
kind = "mig_reshape"
at = 30
gpu = "h100-0"
destroy = [1]
create = ["1g.10gb", "1g.10gb"]
"""

WRONG = [
    ("about =", "abut =", "top level: |about: is missing"),
    ("about =", "abut =", "abut: unknown key; did you mean about?"),
    ('name = "gpu-test-0"', "", "node.name: is missing"),
    ('board = "L40S-48GB"', 'board = "L40T"', "gpu[1].board: expected one of "),
    ("replicas = 4", "replicas = 1", "gpu[1].replicas: expected a whole number from 2 to 100, found 1"),
    ("replicas = 4", 'replicas = "4"', "gpu[1].replicas: expected a whole number"),
    ('sharing = "time-slicing"', 'sharing = "timeslicing"', "gpu[1].sharing: expected one of none, time-slicing, mps"),
    ('sharing = "time-slicing"\n', "", "gpu[1].replicas: needs sharing"),
    ('mig = ["3g.40gb", "2g.20gb"]', 'mig = ["3g.41gb", "2g.20gb"]', "gpu[0].mig: NVIDIA H100 80GB HBM3 has no MIG"),
    ('mig = ["3g.40gb", "2g.20gb"]', 'mig = ["4g.40gb", "4g.40gb"]', "gpu[0].mig: does not fit: 8 of 7 compute"),
    ('mig = ["3g.40gb", "2g.20gb"]', "mig = 3", "gpu[0].mig: expected a list of texts, found 3"),
    ('holds = ["h100-0/0"]', 'holds = ["h100-0/7"]', "pod[0].container[0].holds: h100-0/7 is no MIG instance at 0 s"),
    ('holds = ["h100-0/0"]', 'holds = ["h100-0"]', "pod[0].container[0].holds: h100-0 is no MIG instance"),
    ('holds = ["h100-0/0"]', 'holds = ["h100-9/0"]', "pod[0].container[0].holds: there is no GPU 'h100-9'"),
    ('holds = ["h100-0/0"]', 'holds = ["l40s-0::4"]', "pod[0].container[0].holds: l40s-0::4: there are only 4 slots"),
    (
        'holds = ["h100-0/0"]',
        'holds = ["l40s-0"]',
        "pod[0].container[0].holds: l40s-0: the devices of l40s-0 are shared",
    ),
    ('holds = ["h100-0/0"]', 'holds = ["H100_0"]', "pod[0].container[0].holds: expected GPU, GPU/INSTANCE or either"),
    ('holds = ["h100-0/0"]', "", "pod[0].container[0].process[0].on: is missing"),
    ('demand = "closed"', 'demand = "busy"', "pod[0].container[0].process[0].demand: expected one of idle, backlogged"),
    ('demand = "closed"', 'demand = "backlogged"', "pod[0].container[0].process[0].burst_ms: unknown key"),
    ("burst_ms = 10", "burst_ms = nan", "pod[0].container[0].process[0].burst_ms: expected a number, found nan"),
    ("burst_ms = 10", "burst_ms = 0", "pod[0].container[0].process[0].burst_ms: expected a number from 0.05"),
    ("think_ms = 5", "", "pod[0].container[0].process[0].think_ms: is missing"),
    ("{ at = 10,", "{ at = 0,", "pod[0].container[0].process[0].phase[0].at: phases are in order of time"),
    ('workload = "Deployment/embedder"', 'workload = "embedder"', "pod[0].workload: expected KIND/NAME"),
    ("destroy = [1]", "destroy = [5]", "event[0].destroy: h100-0/5 does not exist at 30 s"),
    ("destroy = [1]", 'destroy = "1"', "event[0].destroy: expected a list of whole numbers"),
    ('gpu = "h100-0"\ndestroy', 'gpu = "l40s-0"\ndestroy', "event[0]: l40s-0 is not in MIG mode"),
    ('kind = "mig_reshape"', 'kind = "mig_rescale"', "event[0].kind: expected one of throttle, "),
    ("at = 30", "", "event[0].at: is missing"),
    ("[[event]]", "[[events]]", "events: unknown key; did you mean event?"),
    ("[[event]]", "[event]", "event: expected an array of tables"),
    ("about", "about about", "line 2"),
]


def test_the_good_example_is_good():
    scenario = parse(GOOD)
    assert [gpu.name for gpu in scenario.gpus] == ["h100-0", "l40s-0"]
    assert len(scenario.pods[0].containers[0].processes[0].phases) == 2


@pytest.mark.parametrize(
    ("part", "wrong", "message"), WRONG, ids=[f"{wrong[:24]}-{text[:30]}" for _, wrong, text in WRONG]
)
def test_a_wrong_scenario_is_refused_with_file_and_key_path(part: str, wrong: str, message: str):
    assert part in GOOD
    with pytest.raises(ConfigError) as refused:
        parse(GOOD.replace(part, wrong, 1), "node-7.toml")
    assert all(problem.startswith("node-7.toml: ") for problem in refused.value.problems)
    assert any(text in str(refused.value) for text in message.split("|"))


def test_all_faults_are_told_at_once():
    wrong = GOOD.replace("replicas = 4", "replicas = 1").replace("think_ms", "thnk_ms")
    with pytest.raises(ConfigError) as refused:
        parse(wrong)
    assert len(refused.value.problems) == 3


def test_a_power_cap_below_idle_is_refused():
    with pytest.raises(ConfigError, match="draws 36 W when idle"):
        parse(GOOD + '[[event]]\nkind = "power_cap"\nat = 1\ngpu = "l40s-0"\nwatts = 20\n')


def test_a_pod_may_hold_an_instance_that_is_created_before_it_is_born():
    later = GOOD.replace('workload = "Deployment/embedder"', 'workload = "Deployment/embedder"\nborn = 31')
    assert parse(later.replace("h100-0/0", "h100-0/2")).pods[0].born == 31.0
    with pytest.raises(ConfigError, match="no MIG instance at 0 s"):
        parse(GOOD.replace("h100-0/0", "h100-0/2"))


def test_an_unknown_name_lists_the_scenarios_there_are():
    with pytest.raises(ConfigError, match="thermal-throttle"):
        load("no-such-thing")


def test_a_scenario_can_be_a_file_anywhere(tmp_path: Path):
    path = tmp_path / "mine.toml"
    path.write_text(GOOD)
    assert load(path).name == "mine"
    assert load(str(path)) == load(path)


def test_a_scenario_has_a_size(tmp_path: Path):
    path = tmp_path / "large.toml"
    path.write_text("#" * (MOST + 1))
    with pytest.raises(ConfigError, match="larger than 1048576 characters"):
        load(path)


def test_names_are_sorted_and_all_load():
    assert names() == tuple(sorted(names()))
    assert [load(name).name for name in names()] == list(names())


@pytest.mark.parametrize("word", sorted(BOARDS))
def test_the_instances_of_a_board_fit_into_it(word: str):
    board = BOARDS[word]
    for row in board.rows:
        count = min(board.compute_slices // row.profile.slices, board.memory_slices // row.memory_slices)
        assert count >= 1
        assert count * row.profile.memory_bytes < board.memory_bytes
        assert count * row.profile.sm_count <= board.sm_count
    assert board.gpm is (board.architecture == "hopper")


@pytest.mark.parametrize(
    ("word", "profile", "number", "sms", "mebibytes"),
    [
        # From captures of nvidia-smi 590.48.01, and from `nvidia-smi mig -lgip` listings.
        ("H100-SXM-80GB", "1g.10gb", 19, 16, 9984),
        ("H100-SXM-80GB", "2g.20gb", 14, 32, 20096),
        ("H100-SXM-80GB", "3g.40gb", 9, 60, 40448),
        ("H100-SXM-80GB", "1g.20gb", 15, 26, 20096),
        ("H200-SXM-141GB", "1g.18gb", 19, 16, 16384),
        ("H200-SXM-141GB", "3g.71gb", 9, 60, 71424),
        ("A100-SXM-40GB", "1g.5gb", 19, 14, 4864),
        ("A30-24GB", "4g.24gb", 0, 56, 24000),
    ],
)
def test_profiles_are_as_the_driver_lists_them(word: str, profile: str, number: int, sms: int, mebibytes: int):
    row = BOARDS[word].row(profile)
    assert row is not None
    found = (row.profile.profile_id, row.profile.sm_count, row.profile.memory_bytes)
    assert found == (number, sms, mebibytes << 20)
