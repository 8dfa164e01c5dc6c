"""The file: lines of JSON under gzip. The first says what it is, each further one is a tick: what changed since the one before.

Every tick is flushed, so that a recording whose writer was killed is whole up to its last tick. Reading stops there, and says so.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from exporter.recording.codec import Hook, Tree, UnreadableError, decode, encode
from exporter.recording.patch import difference, patched
from exporter.witness import Hearing
from toolkit.errors import ConfigError

FORMAT = 1
_MAGIC = "slicewatch-recording"
_GZIP = 31  # zlib's window bits for a gzip stream
_CHUNK = 1 << 16
_LONGEST = 64 << 20
"""Bytes of a line: what a tick of ten thousand partitions has many times over, and a bomb has not."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a recording says of itself. `tick` is seconds between hearings, `began` Unix seconds."""

    version: str
    tick: float
    began: float
    disguised: bool


class Writer:
    """Writes a recording. Raises ConfigError when the file cannot be made, OSError when the disk refuses a tick."""

    def __init__(self, path: Path, header: Header, hook: Hook) -> None:
        try:
            self._file: BinaryIO = path.open("xb")
        except OSError as error:
            raise ConfigError(f"{path}: cannot be made: {error.strerror or error}") from error
        self._hook = hook
        self._packer = zlib.compressobj(9, zlib.DEFLATED, _GZIP)
        self._before: Tree = {}
        self.ticks = 0
        self._line({_MAGIC: FORMAT, **{name: getattr(header, name) for name in Header.__slots__}})

    def append(self, hearing: Hearing) -> None:
        """Add a tick."""
        tree = encode(hearing, self._hook)
        self._line(difference(self._before, tree))
        self._before = tree
        self.ticks += 1

    def close(self) -> None:
        """End the file."""
        self._file.write(self._packer.flush())
        self._file.close()

    def _line(self, tree: Tree) -> None:
        text = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode() + b"\n"
        self._file.write(self._packer.compress(text) + self._packer.flush(zlib.Z_SYNC_FLUSH))
        self._file.flush()


class Reader:
    """Reads a recording, a tick at a time. Raises ConfigError for what is none; a file that was cut ends with its last tick."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines = self._unpacked()
        first = next(self._lines, b"")
        try:
            found = json.loads(first)
            number = found.pop(_MAGIC)
            if number != FORMAT:
                raise ConfigError(f"{path}: a recording of format {number}; this slicewatch reads format {FORMAT}")
            self.header: Header = decode(Header, found, "header")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path}: no recording; expected a file that `slicewatch record` wrote") from error

    def __iter__(self) -> Iterator[Hearing]:
        """Yield each tick. Raises ConfigError, with the tick's number, for one that is damaged."""
        tree: Tree = {}
        for number, line in enumerate(self._lines, 1):
            try:
                tree = patched(tree, json.loads(line))
                yield decode(Hearing, tree, "tick")
            except (UnreadableError, ValueError, RecursionError) as error:
                raise ConfigError(f"{self._path}: tick {number}: {error}") from error

    def _unpacked(self) -> Iterator[bytes]:
        """Whole lines; what is behind the last of them was being written when the file was cut."""
        unpacker, held = zlib.decompressobj(_GZIP), b""
        try:
            with self._path.open("rb") as file:
                while packed := unpacker.unconsumed_tail or file.read(_CHUNK):
                    held += unpacker.decompress(packed, _CHUNK * 16)
                    *lines, held = held.split(b"\n")
                    yield from lines
                    if len(held) > _LONGEST:
                        raise ConfigError(f"{self._path}: a line of more than {_LONGEST >> 20} MiB is no tick")
        except zlib.error as error:
            raise ConfigError(f"{self._path}: damaged, or no recording: {error}") from error
        except OSError as error:
            raise ConfigError(f"{self._path}: cannot be read: {error.strerror or error}") from error
