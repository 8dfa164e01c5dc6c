"""Machines that are unlike ours: other pid namespaces, lists that are empty, boards without GPM, an MPS daemon."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from bench.hardware import mps, tenants, timeline
from bench.hardware.children import ChildError, Crew
from bench.hardware.context import Lengths, Run
from bench.hardware.node import Node
from bench.hardware.plan import STEPS, perform
from bench.hardware.report import write
from bench.hardware.scenarios import HOG, Tenant
from bench.hardware.watch import Gpm
from exporter.sources.procfs import Procfs
from tests.fake_cuda.board import UUID, FakeBoard

FAR = 1_000_000_000
"""Beyond every pid of this machine (pid_max is 2^22 at most)."""

TENANT = Tenant(name="one", demand=HOG)
Machine = Callable[[FakeBoard], tuple[Run, Crew]]


@pytest.fixture
def machine(drivers: Path, tmp_path: Path) -> object:
    """A run and a crew on a board of some kind."""
    with ExitStack() as stack:

        def make(board: FakeBoard) -> tuple[Run, Crew]:
            stack.enter_context(board)
            variables = {**board.variables(), "LD_LIBRARY_PATH": str(drivers)}
            run = Run(id="test", output=tmp_path, scratch=tmp_path, lengths=Lengths.shortest(), gpu=UUID)
            return run, stack.enter_context(Crew(tmp_path, variables))

        yield make


def test_a_tenant_is_known_by_the_pid_that_appeared_when_it_was_started(machine: Machine, tmp_path: Path) -> None:
    run, crew = machine(FakeBoard(tmp_path, foreign=FAR))
    watched = tenants.watch(crew, run, tmp_path / "watch.jsonl")
    first = tenants.start(crew, run, TENANT, watched)
    second = tenants.start(crew, run, TENANT, watched, 1)
    assert (first.pid, second.pid) == (first.child.pid + FAR, second.child.pid + FAR)
    with Node(run.folder("node"), UUID, sharing="time-slicing", replicas=2, policy="") as node:
        tenants.place(node, [first, second], timeline.pids(timeline.read(watched)[-1]))
        placed = Procfs(str(node.procfs.root)).read([first.child.pid + FAR, second.child.pid + FAR])
        command = Path(f"/proc/{first.child.pid}/comm").read_text().strip()
        assert [facts.command for facts in placed.values()] == [command, command]
        assert len({facts.pods for facts in placed.values()}) == 1


def test_a_driver_that_lists_nobody_is_waited_for_once(machine: Machine, tmp_path: Path) -> None:
    run, crew = machine(FakeBoard(tmp_path, lists=False))
    watched = tenants.watch(crew, run, tmp_path / "watch.jsonl")
    run.appears = 1.0
    assert tenants.start(crew, run, TENANT, watched).pid is None
    assert run.appears < 1.0


def test_a_tenants_command_is_that_of_its_process(machine: Machine, tmp_path: Path) -> None:
    run, crew = machine(FakeBoard(tmp_path))
    watched = tenants.watch(crew, run, tmp_path / "watch.jsonl")
    member = tenants.start(crew, run, TENANT, watched)
    assert member.pid == member.child.pid
    with Node(run.folder("node"), UUID, sharing="exclusive", replicas=1, policy="") as node:
        node.run_pod("one")
        tenants.place(node, [member], {member.child.pid, os.getpid()})
        facts = Procfs(str(node.procfs.root)).read([member.child.pid, os.getpid()])
    assert [len(facts[pid].pods) for pid in (member.child.pid, os.getpid())] == [1, 0]


def test_a_board_without_gpm_is_a_return_code_in_each_line() -> None:
    class RefusedError(Exception):
        value = 3

    def refuse() -> None:
        raise RefusedError

    gpm = Gpm(SimpleNamespace(NVMLError=RefusedError, NVMLLibraryMismatchError=KeyError, nvmlGpmSampleAlloc=refuse))
    assert [gpm.read(object()) for _ in range(2)] == [{"code": 3}, {"code": 3}]
    gpm.close()


@pytest.mark.parametrize("wanted", ["", UUID])
def test_a_gpu_that_is_in_use_is_read_unless_it_was_asked_for_by_name(
    machine: Machine, tmp_path: Path, wanted: str
) -> None:
    run, crew = machine(FakeBoard(tmp_path))
    watched = tenants.watch(crew, run, tmp_path / "watch.jsonl")
    tenants.start(crew, run, TENANT, watched)
    chosen = crew.python("choose", "bench.hardware.choose", wanted).hear(20)
    why = "" if wanted else "1 processes compute on the GPU, and would be in every figure"
    assert chosen == {"gpu": UUID, "why": why}


def test_a_gpu_that_is_only_read_has_its_calls_and_no_tenants(
    tmp_path: Path, board: FakeBoard, variables: dict[str, str]
) -> None:
    assert board.read() == []
    lengths = Lengths.shortest()
    run = Run(id="test", output=tmp_path, scratch=tmp_path / "s", lengths=lengths, gpu=UUID, variables=variables)
    run.only_read = "it is in MIG mode"
    steps = [step for step in STEPS if step.name in {"calibrate", "calls", "equals"}]
    assert perform(run, steps, within=60.0) == 0
    assert [row["status"] for row in run.found["steps"]] == ["not possible here", "ran", "not possible here"]
    assert run.found["calls"].keys() == {"idle"}
    write(run)
    text = (tmp_path / "report.md").read_text()
    assert "| equals | 0.0 | not possible here | it is in MIG mode |" in text
    assert "| `nvmlDeviceGetCount` | 0 × " in text


def test_without_a_rate_alone_nobody_contends(tmp_path: Path, board: FakeBoard, variables: dict[str, str]) -> None:
    variables["SLICEWATCH_FAKE_CUDA"] = str(tmp_path / "no-such-accounts")
    assert board.read() == []
    run = Run(
        id="test",
        output=tmp_path,
        scratch=tmp_path / "s",
        lengths=Lengths.shortest(),
        gpu=UUID,
        variables=variables,
    )
    assert perform(run, [step for step in STEPS if step.name in {"calibrate", "equals"}], within=60.0) == 1
    calibrate, equals = run.found["steps"]
    assert calibrate["why"] == "calibrate: cuInit: CUDA_ERROR_NO_DEVICE (100)"
    assert (equals["status"], equals["why"]) == ("not possible here", "calibrate did not end well")


def test_another_gpu_than_there_is_is_told_with_those_there_are(machine: Machine, tmp_path: Path) -> None:
    _, crew = machine(FakeBoard(tmp_path))
    with pytest.raises(ChildError, match=f"no GPU GPU-0; the driver counts {UUID}"):
        crew.python("choose", "bench.hardware.choose", "GPU-0").hear(20)


DAEMON = """#!/bin/sh
if [ "$1" = -f ]; then
    : > "$CUDA_MPS_PIPE_DIRECTORY/control"
    while [ -e "$CUDA_MPS_PIPE_DIRECTORY/control" ]; do sleep 0.02; done
    echo ended > "$CUDA_MPS_LOG_DIRECTORY/draft" && mv "$CUDA_MPS_LOG_DIRECTORY/draft" "$CUDA_MPS_LOG_DIRECTORY/end"
else
    read -r word
    [ "$word" = quit ] && rm "$CUDA_MPS_PIPE_DIRECTORY/control"
    while [ ! -e "$CUDA_MPS_LOG_DIRECTORY/end" ]; do sleep 0.02; done
fi
"""


def test_an_mps_daemon_is_asked_to_quit_behind_its_clients(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / mps.PROGRAM
    program.write_text(DAEMON)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    folder = tmp_path / "mps-run"
    folder.mkdir()
    with ExitStack() as stack:
        variables = mps.start(stack, folder)
        assert (folder / "mps" / "control").exists()
        assert variables["CUDA_MPS_PIPE_DIRECTORY"] == str(folder / "mps")
    assert (folder / "mps-log" / "end").read_text() == "ended\n"


def test_a_client_has_its_part_of_the_threads_and_who_is_none_has_no_limit() -> None:
    assert mps.client({"CUDA_MPS_PIPE_DIRECTORY": "p"}, 30) == {
        "CUDA_MPS_PIPE_DIRECTORY": "p",
        "CUDA_MPS_ACTIVE_THREAD_PERCENTAGE": "30",
    }
    assert mps.client({}, 100) == {}


def test_a_machine_without_mps_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with ExitStack() as stack, pytest.raises(mps.MpsError, match="nvidia-cuda-mps-control is not installed"):
        mps.start(stack, tmp_path)
