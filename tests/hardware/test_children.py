"""Nobody that the kit started outlives it, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bench.hardware.children import ROOT, ChildError, Crew
from tests.fake_cuda.board import FakeBoard

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('{}', flush=True); time.sleep(60)"
PARENT = """
import sys, time
from pathlib import Path
from bench.hardware.children import Crew
crew = Crew(Path(sys.argv[1]))
child = crew.start("child", [sys.executable, "-c", "import time; print('{}', flush=True); time.sleep(60)"])
child.hear(20)
print(child.pid, flush=True)
time.sleep(60)
"""


def gone(pid: int) -> bool:
    """Whether a process has ended; one that nobody has waited for has."""
    try:
        return ") Z " in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return True


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_children_of_a_kit_that_is_killed_are_killed(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=subprocess.PIPE, cwd=ROOT) as kit:
        assert kit.stdout is not None
        child = int(kit.stdout.readline())
        assert not gone(child)
        kit.send_signal(signal.SIGKILL)
        until(lambda: gone(child))


def test_a_child_that_does_not_want_to_end_is_ended(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        child = crew.start("stubborn", [sys.executable, "-c", STUBBORN])
        child.hear(20)
        assert child.end(within=0.2) == -signal.SIGKILL
        crew.start("other", [sys.executable, "-c", STUBBORN]).hear(20)
        other = crew._children[-1]
        other.process.kill()
    assert gone(child.pid)
    assert gone(other.pid)


def test_what_a_child_said_last_is_in_the_error(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        child = crew.start("sad", [sys.executable, "-c", "raise SystemExit('no device here')"])
        with pytest.raises(ChildError, match="sad ended: no device here"):
            child.hear(20)


def test_an_error_that_a_child_answers_is_raised(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        child = crew.start("honest", [sys.executable, "-c", 'print(\'{"error": "refused"}\', flush=True)'])
        with pytest.raises(ChildError, match="honest: refused"):
            child.hear(20)


def test_two_of_one_name_have_logs_of_their_own(tmp_path: Path) -> None:
    with Crew(tmp_path) as crew:
        first = crew.start("twin", [sys.executable, "-c", "import sys; print('first', file=sys.stderr)"])
        first.process.wait(20)
        crew.dismiss(first)
        second = crew.start("twin", [sys.executable, "-c", "import sys; print('second', file=sys.stderr)"])
        second.process.wait(20)
        assert (first.log, second.log) == ("first\n", "second\n")


def test_a_leash_without_its_parent_runs_nothing() -> None:
    command = [sys.executable, "-m", "bench.hardware.leash", str(os.getpid() + 1_000_000), "true"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is gone" in done.stderr


def test_a_kit_that_is_told_to_end_ends_its_tenants_and_reports_what_it_has(
    tmp_path: Path, board: FakeBoard, variables: dict[str, str]
) -> None:
    output = tmp_path / "out"
    command = [sys.executable, "-m", "bench.hardware", f"--output={output}", "--only=equals"]
    with subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stderr=subprocess.DEVNULL) as kit:
        until(lambda: len(board.read()) == 2)
        tenants = [account.pid for account in board.read()]
        kit.send_signal(signal.SIGTERM)
        assert kit.wait(20) == 128 + signal.SIGTERM
    assert all(gone(pid) for pid in tenants)
    assert "| calibrate |" in (output / "report.md").read_text()


def test_an_installed_package_called_tests_does_not_hide_this_checkouts(tmp_path: Path) -> None:
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "__init__.py").write_text("")
    script = "import sys; sys.path.append(sys.argv[1]); import bench.hardware.node as n; print(n.FakeProcfs.__module__)"
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "tests.fakes.procfs\n", done.stderr
