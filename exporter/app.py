"""The command line of one node's commands; each imports what it needs when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from exporter import __version__, config
from toolkit.command import Command, Program

HELP = """\
slicewatch: is every GPU slice getting what it was promised?

usage: slicewatch COMMAND [flags]

  exporter   serve this node's partitions as Prometheus metrics
  demo       a simulated node in this terminal: a breach is seen and explained; needs no GPU
  status     the worst guarantees of a node or a fleet
  why        one pod: the verdict, where the missing share went, what was ruled out
  lint       promises that cannot be kept, or that nobody enforces: from manifests or a live node
  doctor     which sources can be read here, what that lets us judge, what it does not
  record     what a node's sources say, into a file that `exporter --source replay` plays back
  slo        objectives: check them, generate rules for them, run them (`slicewatch slo` lists its commands)

`slicewatch COMMAND --help` lists the flags. `slicewatch --version` says what this is.
"""


def run(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Run one command line and return its exit status."""
    return Program("slicewatch", HELP, __version__, COMMANDS).run(argv, environ, stdout, stderr)


def _exporter(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    settings = config.parse(argv, environ)
    from exporter import service  # noqa: PLC0415  # the server's libraries are the exporter's alone

    if settings.once:
        return service.once(settings, environ, stdout, stderr)
    return service.serve(settings, environ, stderr)


def _demo(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    del stderr
    from exporter import demo  # noqa: PLC0415  # the terminal library is for people alone

    return demo.main(argv, environ, stdout)


def _doctor(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    del stderr
    from exporter.doctor import cli  # noqa: PLC0415

    return cli.main(argv, environ, stdout)


def _why(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    del stderr
    from exporter.why import cli  # noqa: PLC0415

    return cli.main(argv, environ, stdout)


def _status(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    del stderr
    from exporter.status import cli  # noqa: PLC0415

    return cli.main(argv, environ, stdout)


def _lint(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    from exporter.lint import cli  # noqa: PLC0415

    return cli.main(argv, environ, stdout, stderr)


def _record(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    from exporter.recording import cli  # noqa: PLC0415

    return cli.main(argv, environ, stdout, stderr)


COMMANDS: Mapping[str, Command] = {
    "exporter": _exporter,
    "demo": _demo,
    "status": _status,
    "why": _why,
    "lint": _lint,
    "doctor": _doctor,
    "record": _record,
}
