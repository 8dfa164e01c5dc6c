"""`slicewatch doctor`: which sources can be read here, what that lets us judge, and what it does not.

It reads what the exporter would read, for two ticks, through the same collector; so what it says is what the exporter sees.
Exit status 3 when a source that is switched on cannot be reached.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from exporter import config
from exporter.collect import Tick
from exporter.doctor.dcgm import dcgm
from exporter.doctor.drifts import drifts
from exporter.doctor.enforcers import enforcers
from exporter.doctor.look import look
from exporter.doctor.modes import devices, modes, refusals
from exporter.doctor.privileges import privileges
from exporter.doctor.report import Table
from exporter.doctor.screen import screen
from exporter.doctor.sources import sources
from exporter.doctor.standing import Standing
from exporter.options import OPTIONS
from exporter.service import last_of_two
from toolkit.flags import FlagParser
from toolkit.options import add_arguments
from toolkit.terminal import show

_UNREACHABLE = 3
_WIDTH = 130


def main(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO) -> int:
    """Examine this node. Raises ConfigError."""
    parser = FlagParser("slicewatch doctor", "What the exporter could read here, and what that lets it judge.")
    add_arguments(parser, OPTIONS)
    settings = config.settings(parser.parse(argv), environ)
    logging.getLogger().addHandler(logging.NullHandler())  # what is down is said below
    tick, down = last_of_two(settings, environ)
    show(screen(report(tick, look(settings, environ))), stdout, environ, _WIDTH)
    return _UNREACHABLE if down else 0


def report(tick: Tick, standing: Standing) -> tuple[Table | Iterable[str], ...]:
    """Everything that is said of one tick. Pure."""
    snapshot = tick.result.snapshot
    return (
        sources(tick.health),
        (*devices(snapshot), *dcgm(snapshot)),
        modes(snapshot),
        enforcers(snapshot.partitions, tick.health, standing),
        privileges(snapshot, tick.health, standing),
        drifts(tick.result.drifts, snapshot, tick.health),
        tuple(refusals(snapshot)),
    )
