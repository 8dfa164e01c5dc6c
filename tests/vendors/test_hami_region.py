"""The region that a tenant can write: limits where it is one, a reason where it is none, and never any harm."""

from __future__ import annotations

import mmap
import os
import socket
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from exporter.errors import SourceError
from exporter.model import Missing, Reason
from exporter.records import Limit
from exporter.sources.hami_region import HEAD, SIZE, HookLimits, parse_head
from tests.vendors.regions import put, region

U, V = "GPU-8b0e7153-bf7c-3706-d85c-524e44006655", "GPU-9a6656c9-0bd5-482a-90a2-9b9fa5ff5180"
UID = "bc0dbc0e-1563-7ebb-8e3b-91d26ab4a829"
GIB = 1 << 30
KEY = (UID, "main", U)
GOOD = region({U: (12 * GIB, 30)})


def read(root: Path, key: tuple[str, str, str] = KEY) -> Limit | Missing:
    return HookLimits(str(root)).read([key], 0.0)[key]


@pytest.mark.parametrize(
    ("memory", "share", "expected"),
    [
        (12 * GIB, 30, Limit(0.3, 12.0 * GIB)),
        (0, 0, Limit(None, None)),
        (GIB, 100, Limit(None, float(GIB))),
        (GIB, 250, Limit(None, float(GIB))),
    ],
)
def test_the_limits_of_a_container(tmp_path: Path, memory: int, share: int, expected: Limit) -> None:
    put(tmp_path, UID, "main", region({V: (GIB, 10), U: (memory, share)}, version=(1, 1)))
    assert read(tmp_path) == expected


def fifo(path: Path) -> None:
    os.mkfifo(path)


def link(path: Path) -> None:
    target = path.parent.parent / "elsewhere"
    target.write_bytes(GOOD)
    path.symlink_to(target)


def listening(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path.name)
    os.chdir(here)


@pytest.mark.parametrize("make", [fifo, link, listening, Path.mkdir])
def test_what_is_no_regular_file_is_no_region_and_is_not_waited_for(tmp_path: Path, make: object) -> None:
    (tmp_path / f"{UID}_main").mkdir()
    assert callable(make)
    make(tmp_path / f"{UID}_main" / "a.cache")
    assert read(tmp_path) == Missing(Reason.CONTRADICTION)


def test_what_is_no_regular_file_is_never_opened(tmp_path: Path) -> None:
    """Opening alone does something to some devices; here a writer waits in vain for a reader of its pipe."""
    (tmp_path / f"{UID}_main").mkdir()
    pipe = tmp_path / f"{UID}_main" / "a.cache"
    fifo(pipe)
    met = threading.Event()

    def wait_for_a_reader() -> None:
        with pipe.open("wb"):
            met.set()

    writer = threading.Thread(target=wait_for_a_reader)
    writer.start()
    try:
        for _ in range(50):
            assert read(tmp_path) == Missing(Reason.CONTRADICTION)
        assert not met.is_set()
    finally:
        os.close(os.open(pipe, os.O_RDONLY))
        writer.join()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        GOOD[:-1],
        GOOD + b"\0",
        region({U: (GIB, 30)}, magic=0),
        region({U: (GIB, 30)}, version=(1, 3)),
        region({U: (GIB, 30)}, version=(0, 2)),
        region({U: (GIB, 30)}, count=0),
        region({U: (GIB, 30)}, count=17),
        region({U: (GIB, 30)}, count=2**64 - 1),
        region({U: (2**63, 30)}),
        region({"../../etc/passwd": (GIB, 30)}),
        region({f"{U}::3": (GIB, 30)}),
        b"\xff" * SIZE,
        bytes(SIZE),
    ],
)
def test_nonsense_is_a_contradiction_and_nothing_else(tmp_path: Path, body: bytes) -> None:
    put(tmp_path, UID, "main", body)
    assert read(tmp_path) == Missing(Reason.CONTRADICTION)


def test_a_region_of_other_devices_says_nothing_of_this_one(tmp_path: Path) -> None:
    put(tmp_path, UID, "main", region({V: (GIB, 30)}))
    assert read(tmp_path) == Missing(Reason.CONTRADICTION)


def test_two_regions_that_differ_contradict_each_other_and_two_that_agree_do_not(tmp_path: Path) -> None:
    put(tmp_path, UID, "main", GOOD)
    put(tmp_path, UID, "main", GOOD, "b.cache")
    assert read(tmp_path) == Limit(0.3, 12.0 * GIB)
    put(tmp_path, UID, "main", region({U: (1, 1)}), "c.cache")
    assert read(tmp_path) == Missing(Reason.CONTRADICTION)


def test_before_a_process_has_made_it_there_is_none_yet(tmp_path: Path) -> None:
    assert read(tmp_path) == Missing(Reason.NOT_YET)
    (tmp_path / f"{UID}_main").mkdir()
    (tmp_path / f"{UID}_main" / "other.log").write_bytes(b"x")
    assert read(tmp_path) == Missing(Reason.NOT_YET)


def test_a_flood_of_files_is_not_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / f"{UID}_main").mkdir()
    for number in range(3000):
        (tmp_path / f"{UID}_main" / f"{number}.junk").touch()
    assert read(tmp_path) == Missing(Reason.NOT_YET)


@pytest.mark.parametrize(
    "key", [("../x", "main", U), (UID, "../../etc", U), (UID, "a/b", U), (UID, "", U), ("", "main", U)]
)
def test_a_name_that_is_none_opens_nothing(tmp_path: Path, key: tuple[str, str, str]) -> None:
    assert read(tmp_path, key) == Missing(Reason.UNSUPPORTED)


def test_a_root_that_is_not_there_is_said_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"--path.hami") as caught:
        HookLimits(str(tmp_path / "none")).read([KEY], 0.0)
    assert caught.value.reason is Reason.NOT_CONFIGURED


def test_one_containers_nonsense_costs_no_other_its_limit(tmp_path: Path) -> None:
    other = "a95249f5-12c1-7b8e-d411-fa644d35db41"
    put(tmp_path, UID, "main", b"nonsense")
    put(tmp_path, other, "main", GOOD)
    found = HookLimits(str(tmp_path)).read([KEY, (other, "main", U)], 0.0)
    assert found == {KEY: Missing(Reason.CONTRADICTION), (other, "main", U): Limit(0.3, 12.0 * GIB)}


def test_a_file_that_is_truncated_and_written_while_it_is_read_does_not_kill_the_reader(tmp_path: Path) -> None:
    """The same file mapped would end this process with SIGBUS."""
    path = put(tmp_path, UID, "main", GOOD)
    stop = threading.Event()

    def trouble() -> None:
        while not stop.is_set():
            os.truncate(path, 0)
            path.write_bytes(GOOD)

    thread = threading.Thread(target=trouble)
    thread.start()
    try:
        for _ in range(300):
            assert read(tmp_path) in {Limit(0.3, 12.0 * GIB), Missing(Reason.CONTRADICTION)}
    finally:
        stop.set()
        thread.join()


def test_nothing_is_mapped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    put(tmp_path, UID, "main", GOOD)
    monkeypatch.delattr(mmap, "mmap")
    assert isinstance(read(tmp_path), Limit)


def test_no_descriptor_is_left_open(tmp_path: Path) -> None:
    put(tmp_path, UID, "main", GOOD)
    put(tmp_path, UID, "side", b"x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        read(tmp_path)
        read(tmp_path, (UID, "side", U))
        read(tmp_path, (UID, "none", U))
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=64), st.integers(0, HEAD), st.binary(min_size=1, max_size=200))
def test_no_head_hurts(noise: bytes, at: int, patch: bytes) -> None:
    assert parse_head(noise) is None
    head = bytearray(GOOD[:HEAD])
    head[at : at + len(patch)] = patch
    found = parse_head(bytes(head[:HEAD]))
    if found is not None:
        for limit in found.limits.values():
            assert limit.compute is None or 0 < limit.compute < 1
            assert limit.memory_bytes is None or 0 < limit.memory_bytes < 1 << 50


@settings(max_examples=200, deadline=None)
@given(st.binary(min_size=HEAD, max_size=HEAD))
def test_no_random_head_is_taken_for_a_region(head: bytes) -> None:
    found = parse_head(head)
    assert found is None or all(len(uuid) == len(U) for uuid in found.limits)
