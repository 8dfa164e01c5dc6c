"""The `slicewatch` command: one node's commands are in `exporter.app`, those of objectives in `slo.app`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from typing import TextIO

from exporter import __version__
from exporter.app import COMMANDS, HELP
from toolkit.command import Program


def _slo(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    from slo import app  # noqa: PLC0415  # a node has no use for it

    return app.run(argv, environ, stdout, stderr, version=__version__)


PROGRAM = Program("slicewatch", HELP, __version__, {**COMMANDS, "slo": _slo})


def main() -> int:
    """Run the command line; the exit status is the contract's: 0 as asked, 1 broken, 2 usage, 3 unreachable."""
    return PROGRAM.run(sys.argv[1:], os.environ, sys.stdout, sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
