"""`slicewatch record --output FILE`: what a node's sources say, tick by tick, into a file. Names are disguised.

It reads what the exporter would read, through the same collector. Exit status 3 when a source could not be reached: what the
others said is in the file all the same.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from exporter import __version__, config
from exporter.collect import Tick
from exporter.options import OPTIONS
from exporter.recording.disguise import Disguise, Plain
from exporter.recording.file import Header, Writer
from exporter.service import collector
from exporter.witness import DEADLINE, Clock, Hearing
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.options import add_arguments
from toolkit.values import duration_within
from toolkit.yamltree import quoted

_UNREACHABLE = 3
_KEEP, _DISGUISE = "keep", "disguise"


def main(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Record. Raises ConfigError for flags that make no sense, and for a file that cannot be made or is there already."""
    parser = FlagParser(
        "slicewatch record", "What a node's sources say, into a file that `exporter --source replay` plays."
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="the file to make; one that is there is not written over"
    )
    parser.add_argument(
        "--duration", default="1m", metavar="DURATION", help="how long to record, from 1s to 1h (default 1m)"
    )
    parser.add_argument(
        "--names", choices=(_DISGUISE, _KEEP), default=_DISGUISE, help="whether names and UUIDs are disguised (default)"
    )
    add_arguments(parser, OPTIONS)
    flags = parser.parse(argv)
    settings = config.settings(flags, environ)
    if flags.output is None:
        raise ConfigError("--output is missing: expected a file to make, such as node.swrec")
    seconds = _duration(flags.duration)
    logging.getLogger().addHandler(logging.NullHandler())  # what is down is said below
    hook = Plain() if flags.names == _KEEP else Disguise(secrets.token_bytes(32))
    header = Header(__version__, settings.collect.tick, time.time(), flags.names == _DISGUISE)
    writer = Writer(flags.output, header, hook)
    last = _record(writer, seconds, settings, environ)
    _say(stdout, flags.output, writer.ticks, last, disguised=header.disguised)
    down = [f"{one.name}: {one.detail}" for one in last.health if not one.up]
    stderr.writelines(f"slicewatch: {line}\n" for line in down)
    return _UNREACHABLE if down else 0


def _record(writer: Writer, seconds: float, settings: config.Settings, environ: Mapping[str, str]) -> Tick:
    """Tick until the time is over, or somebody presses Ctrl-C: what was heard until then is kept."""
    heard: list[Hearing] = []
    collecting = collector(settings, environ, Clock(), patience=DEADLINE, heard=heard.append)
    stop = threading.Event()
    ticks: list[Tick] = []
    until = time.monotonic() + seconds

    def publish(tick: Tick) -> None:
        ticks[:] = [tick]
        writer.append(heard.pop())
        if time.monotonic() >= until:
            stop.set()

    try:
        collecting.run(publish, stop)
    except KeyboardInterrupt:
        stop.set()
    finally:
        writer.close()
        collecting.close()
    if not ticks:
        raise ConfigError("nothing was heard: not one tick was whole")
    return ticks[0]


def _say(stdout: TextIO, path: Path, ticks: int, last: Tick, *, disguised: bool) -> None:
    names = "names and UUIDs are disguised" if disguised else "names are as they are: look before you hand it on"
    stdout.write(
        f"{path}: {ticks} ticks of {len(last.result.snapshot.partitions)} partitions, {path.stat().st_size:,} bytes; {names}\n"
        f"slicewatch exporter --source replay --replay.file {path}\n"
    )


def _duration(text: str) -> float:
    try:
        return duration_within("1s", "1h")(text)
    except ValueError as error:
        raise ConfigError(f"--duration: {quoted(text)}; expected {error}") from error
