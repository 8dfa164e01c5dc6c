"""The journal: what is written is there again, also when the file is not what it should be."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.alertmanager.journal import Journal
from slo.alertmanager.notice import Accepted, Entry, Key, Known
from tests.slo.alertmanager.made import T0
from toolkit.errors import ConfigError


def key(name: str) -> Key:
    return (("alertname", "A"), ("pod", name))


def known(*names: str) -> Known:
    found = {key(name): Entry(key(name), {"summary": "é\n"}, T0) for name in names}
    return Known(found, {"http://a": {each: Accepted(T0 + 0.5, resolved=False) for each in found}})


def test_what_was_saved_is_there_again(tmp_path: Path):
    journal = Journal.open(tmp_path / "j")
    journal.save(known("p", "q"))
    ended = replace(known("p").entries[key("p")], ended_at=T0 + 9)
    after = Known({key("p"): ended}, {"http://a": {key("p"): Accepted(T0 + 9.0, resolved=True)}, "http://b": {}})
    journal.save(after)
    journal.close()
    again = Journal.open(tmp_path / "j")
    assert again.load() == Known(after.entries, {"http://a": after.accepted["http://a"]})
    assert (again.trouble, again.errors, again.put_aside) == (None, 0, None)
    again.close()


words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
keys = st.dictionaries(words, words, max_size=3).map(lambda labels: tuple(sorted(labels.items())))


@given(
    st.lists(
        st.dictionaries(keys, st.tuples(words, st.integers(0, 2**33), st.none() | st.integers(0, 2**33))), max_size=5
    )
)
def test_the_file_says_what_was_saved_last(
    tmp_path_factory: pytest.TempPathFactory, rounds: list[dict[Key, tuple[str, int, int | None]]]
):
    path = tmp_path_factory.mktemp("journal") / "j"
    journal = Journal.open(path)
    last = Known()
    for each in rounds:
        entries = {key: Entry(key, {"summary": text}, start, end) for key, (text, start, end) in each.items()}
        last = Known(entries, {"http://a": {key: Accepted(1.5, resolved=True) for key in entries}} if entries else {})
        journal.save(last)
    journal.close()
    again = Journal.open(path)
    assert again.load() == last
    again.close()


def test_a_second_process_is_refused_and_welcome_when_the_first_was_killed(tmp_path: Path):
    path = tmp_path / "j"
    script = (
        "import sys, time; from pathlib import Path; from slo.alertmanager.journal import Journal;"
        f"j = Journal.open(Path({str(path)!r})); print('open', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"open\n"
        with pytest.raises(ConfigError, match="another process uses this journal"):
            Journal.open(path)
        child.send_signal(signal.SIGKILL)
        child.wait()
    Journal.open(path).close()


@pytest.mark.parametrize("damage", ["garbage", "header", "page", "order", "row"])
def test_a_damaged_file_is_put_aside_and_a_new_one_begun(tmp_path: Path, damage: str):
    path = tmp_path / "j"
    journal = Journal.open(path)
    journal.save(known(*(f"pod-{n}" for n in range(200))))
    journal.close()
    if damage == "row":
        with sqlite3.connect(path) as direct:
            direct.execute("UPDATE alerts SET key = '{\"not\": 1' WHERE key LIKE '%pod-7\"%'")
        direct.close()
    else:
        data = bytearray(path.read_bytes())
        match damage:
            case "garbage":
                data = bytearray(b"not a database, but long enough to be one" * 100)
            case "header":
                data[:16] = b"x" * 16
            case "order":  # each row can be read, and none is where it should be
                data = data.replace(b"pod-10", b"zod-10")
            case _:
                data[4096:20480] = os.urandom(16384)
        path.write_bytes(data)
    again = Journal.open(path)
    assert again.load() == Known()
    assert again.errors == 1
    assert again.put_aside is not None
    assert "was damaged" in again.put_aside
    again.save(known("p"))
    again.close()
    assert len(list(tmp_path.glob("j.damaged-*"))) == 1
    third = Journal.open(path)
    assert third.load() == known("p")
    third.close()


def test_a_full_disk_leaves_the_alerts_in_memory_and_says_so_until_there_is_room(tmp_path: Path):
    journal = Journal.open(tmp_path / "j")
    journal.save(known("p"))
    assert journal._connection is not None
    journal._connection.execute("PRAGMA max_page_count=1")  # SQLite's own way to have no room
    many = known(*(f"pod-{n}" for n in range(500)))
    journal.save(many)
    assert "database or disk is full" in str(journal.trouble)
    assert journal.errors == 1
    journal.save(known("p", "q"))  # opens it again, with room
    assert str(journal.trouble) == "None"
    journal.close()
    again = Journal.open(tmp_path / "j")
    assert again.load() == known("p", "q")
    again.close()


def test_a_journal_that_cannot_be_is_a_clear_error(tmp_path: Path):
    with pytest.raises(ConfigError, match="there is no folder"):
        Journal.open(tmp_path / "nowhere" / "j")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be used as a journal"):
        Journal.open(tmp_path / "folder")


def test_somebody_elses_database_and_a_newer_schema_are_left_alone(tmp_path: Path):
    with sqlite3.connect(tmp_path / "other") as direct:
        direct.execute("CREATE TABLE precious (x)")
    direct.close()
    with pytest.raises(ConfigError, match="it is something else"):
        Journal.open(tmp_path / "other")
    Journal.open(tmp_path / "j").close()
    with sqlite3.connect(tmp_path / "j") as direct:
        direct.execute("PRAGMA user_version=7")
    direct.close()
    with pytest.raises(ConfigError, match=r"newer slicewatch wrote it \(schema 7\)"):
        Journal.open(tmp_path / "j")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["j", "other"]


def test_a_journal_in_memory_takes_everything_and_keeps_nothing():
    journal = Journal.memory()
    journal.save(known("p"))
    assert journal.load() == Known()
    assert journal.trouble is None
    journal.close()
