"""What is known of alerts, on disk, so that whoever is started again neither forgets a page nor repeats it.

One SQLite file, held by one process. What is in memory counts; the file is its mirror. A round is written before it is sent,
in one transaction that is on the disk when `save` returns (`synchronous=FULL`). When the file cannot be written any more,
alerts go on from memory, `trouble` says so, and every later round tries again to write all of it.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from slo.alertmanager.notice import Accepted, Entry, Key, Known
from toolkit.errors import ConfigError

VERSION: Final = 1
"""Of the schema; a file of a newer one is left alone."""

_APPLICATION: Final = 0x534C4957
_WAIT: Final = 2.0
"""Seconds to wait for a process that is just ending to let go of the file."""

_SCHEMA: Final = (
    """CREATE TABLE alerts (
    key TEXT PRIMARY KEY,         -- the labels, sorted, as JSON
    annotations TEXT NOT NULL,    -- JSON
    starts_at INTEGER NOT NULL,   -- Unix seconds
    ended_at INTEGER              -- Unix seconds; NULL while it fires
) WITHOUT ROWID""",
    """CREATE TABLE accepted (
    key TEXT NOT NULL,
    peer TEXT NOT NULL,           -- its address
    at REAL NOT NULL,             -- Unix seconds
    resolved INTEGER NOT NULL,    -- 1: as an alert that has ended
    PRIMARY KEY (key, peer)
) WITHOUT ROWID""",
)


class Journal:
    """Remembers `Known` between processes. For one thread."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._written = Known()
        self.trouble: str | None = None
        """What is wrong with the file, in one line; None when it holds all that is known."""
        self.put_aside: str | None = None
        """What became of a damaged file that was there before, in one line."""
        self.errors = 0
        """How often it could not be read or written."""

    @classmethod
    def memory(cls) -> Journal:
        """Return a journal that forgets with the process."""
        return cls(None)

    @classmethod
    def open(cls, path: Path) -> Journal:
        """Open a file, or make it. One that is damaged is put aside, and a new one begun; a full disk is `trouble`.

        Raises ConfigError when another process has it, when a newer version wrote it, or when it can be neither opened nor made.
        """
        if not path.parent.is_dir():
            raise ConfigError(f"{path}: there is no folder {path.parent}")
        journal = cls(path)
        try:
            journal._begin()
        except sqlite3.Error as error:
            match _code(error):
                case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
                    raise ConfigError(f"{path}: another process uses this journal; each needs its own") from error
                case sqlite3.SQLITE_FULL | sqlite3.SQLITE_IOERR:
                    journal._fail(error)
                case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
                    journal.errors += 1
                    journal.put_aside = (
                        f"{path} was damaged ({error}); it is now {_put_aside(path).name}, and a new one was begun"
                    )
                    journal._begin()
                case _:
                    raise ConfigError(f"{path}: cannot be used as a journal: {error}") from error
        return journal

    def load(self) -> Known:
        """Return what the file held when it was opened. Nothing, for a journal that is new."""
        return self._written

    def save(self, known: Known) -> None:
        """Write what changed. Never raises for what the disk does: see `trouble`."""
        if self._path is None:
            return
        try:
            if self._connection is None:
                self._begin()
            if self._connection is not None:
                _write(self._connection, self._written, known)
        except sqlite3.Error as error:
            self._fail(error)
            return
        self._written = Known(dict(known.entries), {peer: dict(taken) for peer, taken in known.accepted.items()})
        self.trouble = None

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    def _begin(self) -> None:
        """Open the file, and see what it holds."""
        if self._path is None:
            return
        connection = _connect(self._path)
        try:
            self._written = _checked(connection)
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def _fail(self, error: sqlite3.Error) -> None:
        self.errors += 1
        self.trouble = f"{self._path}: cannot be written ({error}); alerts are remembered in memory only"
        self.close()


def _checked(connection: sqlite3.Connection) -> Known:
    """Return what a file holds. Raises DatabaseError when its pages, or its rows, are not what was written."""
    (said,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    if said != "ok":
        raise _damaged(str(said))
    try:
        return _read(connection)
    except (ValueError, TypeError, AttributeError) as error:  # a row that we did not write
        raise _damaged(f"a row of it makes no sense: {error}") from error


def _read(connection: sqlite3.Connection) -> Known:
    entries: dict[Key, Entry] = {}
    accepted: dict[str, dict[Key, Accepted]] = {}
    for text, told, starts_at, ended_at in connection.execute("SELECT * FROM alerts"):
        key = _key(text)
        entries[key] = Entry(key, dict(json.loads(told)), int(starts_at), None if ended_at is None else int(ended_at))
    for text, peer, at, resolved in connection.execute("SELECT * FROM accepted"):
        accepted.setdefault(str(peer), {})[_key(text)] = Accepted(float(at), bool(resolved))
    return Known(entries, accepted)


def _connect(path: Path) -> sqlite3.Connection:
    """Open the file for this process alone, with the schema in it."""
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA locking_mode=EXCLUSIVE")  # from the first write on, until it is closed
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("BEGIN EXCLUSIVE")
        _prepare(connection, path)
        connection.execute("COMMIT")
    except BaseException:
        connection.close()
        raise
    return connection


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    """Make the schema in a new file; refuse one that is not ours."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if not tables:
        for statement in _SCHEMA:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id={_APPLICATION}")
        connection.execute(f"PRAGMA user_version={VERSION}")
    elif application != _APPLICATION:
        raise ConfigError(f"{path}: cannot be used as a journal: it is something else")
    elif version > VERSION:
        raise ConfigError(f"{path}: cannot be used as a journal: a newer slicewatch wrote it (schema {version})")


def _write(connection: sqlite3.Connection, before: Known, after: Known) -> None:
    alerts = [
        (_text(key), json.dumps(dict(entry.annotations)), entry.starts_at, entry.ended_at)
        for key, entry in after.entries.items()
        if before.entries.get(key) != entry
    ]
    gone = [(_text(key),) for key in before.entries.keys() - after.entries.keys()]
    taken = [
        (_text(key), peer, accepted.at, accepted.resolved)
        for peer, by_key in after.accepted.items()
        for key, accepted in by_key.items()
        if before.accepted.get(peer, {}).get(key) != accepted
    ]
    forgotten = [
        (_text(key), peer)
        for peer, by_key in before.accepted.items()
        for key in by_key.keys() - after.accepted.get(peer, {}).keys()
    ]
    if not (alerts or gone or taken or forgotten):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        _all(connection, "INSERT OR REPLACE INTO alerts VALUES (?, ?, ?, ?)", alerts)
        _all(connection, "DELETE FROM alerts WHERE key = ?", gone)
        _all(connection, "INSERT OR REPLACE INTO accepted VALUES (?, ?, ?, ?)", taken)
        _all(connection, "DELETE FROM accepted WHERE key = ? AND peer = ?", forgotten)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _all(connection: sqlite3.Connection, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
    connection.executemany(statement, rows)


def _text(key: Key) -> str:
    return json.dumps(key)


def _key(text: str) -> Key:
    return tuple((str(name), str(value)) for name, value in json.loads(text))


def _damaged(said: str) -> sqlite3.DatabaseError:
    error = sqlite3.DatabaseError(said)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _code(error: sqlite3.Error) -> int:
    """The primary code of an error; its higher bytes say more, and are not asked for."""
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF


def _put_aside(path: Path) -> Path:
    """Rename a damaged file and what SQLite keeps beside it."""
    aside = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}")
    try:
        path.rename(aside)
        for suffix in ("-wal", "-shm"):
            path.with_name(path.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"{path}: is damaged, and cannot be put aside ({error.strerror})") from error
    return aside
