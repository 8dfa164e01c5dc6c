"""Every recording under tests/captures is judged as it was when it was made: readings of boards, replayed without one."""

from __future__ import annotations

import gzip
import json
import os
import zlib
from pathlib import Path

import pytest

from bench.hardware.capture import essence, replayed, tidy
from exporter.recording.file import Reader

CAPTURES = Path(__file__).parents[1] / "captures"
NUMBERED = b"GPU-00000000-0000-4000-8000-000000000001"
RECORDINGS = sorted(CAPTURES.glob("*.swrec"))


def test_there_are_recordings_and_each_has_what_is_expected_of_it() -> None:
    assert RECORDINGS
    assert {path.stem for path in CAPTURES.glob("*.json")} == {path.stem for path in RECORDINGS}
    assert sum(path.stat().st_size for path in RECORDINGS) < 2_000_000


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording_is_judged_as_it_was(recording: Path) -> None:
    beside = recording.with_suffix(".json")
    expected = json.loads(beside.read_text())
    found = essence(replayed(recording, expected["policy"]))
    if os.environ.get("GOLDEN") == "write":
        beside.write_text(json.dumps({**expected, "replay": found}, indent=1) + "\n")
        return
    assert found == expected["replay"]


@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.stem)
def test_a_recording_names_the_run_that_it_is_of(recording: Path) -> None:
    expected = json.loads(recording.with_suffix(".json").read_text())
    assert recording.stem == f"{expected['run']}-{expected['scenario']}"
    assert {name.partition("/")[0] for name in expected["replay"]} <= expected["truth"].keys()


def test_a_tidied_recording_is_the_same_with_its_uuids_numbered_and_smaller(tmp_path: Path) -> None:
    mine = b"GPU-5ca1ab1e-0000-4000-8000-00000000f00d"
    flushed, kept = tmp_path / "flushed.swrec", tmp_path / "kept.swrec"
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    text = gzip.decompress(RECORDINGS[0].read_bytes()).replace(NUMBERED, mine)
    pieces = [packer.compress(line) + packer.flush(zlib.Z_SYNC_FLUSH) for line in text.splitlines(keepends=True)]
    flushed.write_bytes(b"".join([*pieces, packer.flush()]))
    assert mine in gzip.decompress(flushed.read_bytes())
    tidy(flushed, kept)
    assert list(Reader(kept)) == list(Reader(RECORDINGS[0]))
    assert kept.stat().st_size < flushed.stat().st_size


def test_every_gpu_and_instance_of_a_recording_gets_a_number_of_its_own(tmp_path: Path) -> None:
    first, second = "GPU-5ca1ab1e-0000-4000-8000-00000000f00d", "MIG-5ca1ab1e-0000-4000-8000-00000000beef"
    (tmp_path / "raw").write_bytes(gzip.compress(f"{first} {second}::1 {first}".encode()))
    tidy(tmp_path / "raw", tmp_path / "kept")
    told = gzip.decompress((tmp_path / "kept").read_bytes()).decode()
    assert told == (
        "GPU-00000000-0000-4000-8000-000000000001 MIG-00000000-0000-4000-8000-000000000002::1"
        " GPU-00000000-0000-4000-8000-000000000001"
    )
