"""MPS's control daemon is asked through its own program; here a program that answers as it does, or does not."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from exporter.errors import SourceError
from exporter.model import Missing, Reason
from exporter.records import Limit
from exporter.sources.mps_control import MpsDaemons, limit
from exporter.sources.short_answer import MAX_BYTES, ask

MIB = 1 << 20

ANSWERS = """#!/bin/sh
read command
case "$command" in
  get_default_active_thread_percentage) echo 25.0;;
  "get_default_device_pinned_mem_limit 0") echo 20389M;;
  "get_default_device_pinned_mem_limit 1") echo 19G;;
  *) echo "unexpected $command" >&2; exit 1;;
esac
echo "$CUDA_MPS_PIPE_DIRECTORY $command" >> "$(dirname "$0")/asked"
"""


def program(directory: Path, text: str) -> str:
    path = directory / "nvidia-cuda-mps-control"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


def root(directory: Path, *resources: str) -> str:
    for resource in resources:
        (directory / "mps" / resource / "pipe").mkdir(parents=True)
    (directory / "mps").mkdir(exist_ok=True)
    (directory / "mps" / "shm").mkdir()
    return str(directory / "mps")


@pytest.mark.parametrize(
    ("threads", "memory", "expected"),
    [
        ("25.0", "20389M", Limit(0.25, 20389.0 * MIB)),
        ("25", "", Limit(0.25, None, memory_read=False)),
        ("100.0", "1024M", Limit(None, 1024.0 * MIB)),
        ("50.0", "19G", Limit(0.5, None, memory_read=False)),
        ("", "1024M", Missing(Reason.UNSUPPORTED)),
        ("250", "1024M", Missing(Reason.UNSUPPORTED)),
        ("twenty", "1024M", Missing(Reason.UNSUPPORTED)),
    ],
)
def test_what_two_answers_say(threads: str, memory: str, expected: Limit | Missing) -> None:
    assert limit(threads, memory) == expected


def test_every_resources_daemon_is_asked_for_every_gpu(tmp_path: Path) -> None:
    source = MpsDaemons(root(tmp_path, "nvidia.com/gpu", "nvidia.com/gpu.shared"), program(tmp_path, ANSWERS))
    assert source.read([1, 0], {}, 0.0) == {
        (resource, index): found
        for resource in ("nvidia.com/gpu", "nvidia.com/gpu.shared")
        for index, found in (("0", Limit(0.25, 20389.0 * MIB)), ("1", Limit(0.25, None, memory_read=False)))
    }
    asked = (tmp_path / "asked").read_text().split()
    assert {word for word in asked if not word.startswith(("/", "0", "1"))} == {
        "get_default_active_thread_percentage",
        "get_default_device_pinned_mem_limit",
    }


def test_a_daemon_that_is_gone_has_no_limits_to_read(tmp_path: Path) -> None:
    gone = "#!/bin/sh\necho 'Cannot find MPS control daemon process'\nexit 1\n"
    source = MpsDaemons(root(tmp_path, "nvidia.com/gpu"), program(tmp_path, gone))
    assert source.read([0], {}, 0.0) == {("nvidia.com/gpu", "0"): Missing(Reason.UNSUPPORTED)}


def test_a_daemon_that_hangs_is_given_up(tmp_path: Path) -> None:
    source = MpsDaemons(root(tmp_path, "nvidia.com/gpu"), program(tmp_path, "#!/bin/sh\nexec sleep 60\n"), deadline=0.1)
    with pytest.raises(SourceError) as caught:
        source.read([0], {}, 0.0)
    assert caught.value.reason is Reason.TIMEOUT


def test_a_program_that_goes_on_and_on_is_ended_and_says_nothing(tmp_path: Path) -> None:
    endless = program(tmp_path, "#!/bin/sh\nexec yes 25.0\n")
    told = ask([endless], b"get\n", {"PATH": os.defpath}, 5.0)
    assert len(told.text) <= MAX_BYTES
    assert told.status == -signal.SIGKILL
    source = MpsDaemons(root(tmp_path, "nvidia.com/gpu"), endless)
    assert source.read([0], {}, 0.0) == {("nvidia.com/gpu", "0"): Missing(Reason.UNSUPPORTED)}


def test_a_program_that_says_something_and_does_not_end_is_given_up(tmp_path: Path) -> None:
    with pytest.raises(TimeoutError):
        ask([program(tmp_path, "#!/bin/sh\necho 25.0\nexec sleep 60\n")], b"get\n", {"PATH": os.defpath}, 0.2)


def test_without_the_program_it_is_said_what_is_missing(tmp_path: Path) -> None:
    source = MpsDaemons(root(tmp_path, "nvidia.com/gpu"), str(tmp_path / "none"))
    with pytest.raises(SourceError, match="is it in this container"):
        source.read([0], {}, 0.0)


def test_a_node_without_daemons_has_nothing_to_ask(tmp_path: Path) -> None:
    assert MpsDaemons(str(tmp_path / "none"), "none").read([0], {}, 0.0) == {}
    assert MpsDaemons(root(tmp_path), "none").read([0], {}, 0.0) == {}


CLAIM, OTHER = "50454f31-af31-7681-3e02-ea68ef786e4d", "50454f31-af31-7681-3e02-ea68ef786e4e"
U = "GPU-a4c123b1-612d-d272-d137-1c17149d4395"

OF_CLAIM = f"""#!/bin/sh
read command
case "$CUDA_MPS_PIPE_DIRECTORY" in *{OTHER}*) exec sleep 60;; esac
case "$command" in
  get_default_active_thread_percentage) echo 40.0;;
  "get_default_device_pinned_mem_limit {U}") echo 8192M;;
  *) exit 1;;
esac
"""


def claims_root(directory: Path, *names: str) -> str:
    for name in names:
        (directory / "claims" / name / "pipe").mkdir(parents=True)
    return str(directory / "claims")


def test_a_claims_own_daemon_is_asked_by_the_devices_uuid(tmp_path: Path) -> None:
    where = claims_root(tmp_path, f"{CLAIM}-a1b2c", "another-claims")
    source = MpsDaemons(root(tmp_path), program(tmp_path, OF_CLAIM), claims=where)
    asked = {CLAIM: [U, "GPU-x\nset_default_active_thread_percentage 1"]}
    assert source.read([0], asked, 0.0) == {(CLAIM, U): Limit(0.4, 8192.0 * MIB)}
    assert source.read([0], {}, 0.0) == {}


def test_a_daemon_that_a_client_hangs_costs_no_other_its_limits(tmp_path: Path) -> None:
    where = claims_root(tmp_path, f"{CLAIM}-a", f"{OTHER}-a")
    source = MpsDaemons(root(tmp_path), program(tmp_path, OF_CLAIM), deadline=2.0, claims=where)
    found = source.read([], {OTHER: [U], CLAIM: [U]}, 0.0)
    assert found == {(CLAIM, U): Limit(0.4, 8192.0 * MIB), (OTHER, U): Missing(Reason.TIMEOUT)}


def test_without_the_claims_directory_nothing_of_theirs_is_asked(tmp_path: Path) -> None:
    source = MpsDaemons(root(tmp_path), "none", claims=str(tmp_path / "nowhere"))
    assert source.read([0], {CLAIM: [U]}, 0.0) == {}
