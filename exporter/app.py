"""The command line: which command was asked for, and what its end means. The only place that knows exit statuses.

0 as asked, 1 a guarantee or check does not hold, 2 usage or configuration, 3 a source could not be reached.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TextIO

from exporter import __version__, config
from exporter.errors import SourceError
from toolkit.errors import ConfigError

USAGE = 2
UNREACHABLE = 3

Command = Callable[[Sequence[str], Mapping[str, str], TextIO, TextIO], int]

_HELP = """\
slicewatch: is every GPU slice getting what it was promised?

usage: slicewatch COMMAND [flags]

  exporter   serve this node's partitions as Prometheus metrics
  demo       a simulated node in this terminal: a breach is seen and explained; needs no GPU
  status     the worst guarantees of a node or a fleet
  why        one pod: the verdict, where the missing share went, what was ruled out
  lint       promises that cannot be kept, or that nobody enforces: from manifests or a live node
  doctor     which sources can be read here, what that lets us judge, what it does not

`slicewatch COMMAND --help` lists the flags. `slicewatch --version` says what this is.
"""


def run(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Run one command line and return its exit status."""
    if not argv:
        stderr.write(_HELP)
        return USAGE
    name, *rest = argv
    if name in {"-h", "--help", "help"}:
        stdout.write(_HELP)
        return 0
    if name in {"-V", "--version", "version"}:
        stdout.write(f"slicewatch {__version__}\n")
        return 0
    command = _COMMANDS.get(name)
    if command is None:
        stderr.write(f"slicewatch: unknown command {name!r}: expected one of {', '.join(_COMMANDS)}\n")
        return USAGE
    try:
        status = command(rest, environ, stdout, stderr)
        stdout.flush()  # here, where a reader that has hung up can be told from a crash
    except BrokenPipeError:
        _discard(stdout)
        return 0
    except ConfigError as error:
        stderr.writelines(f"slicewatch {name}: {problem}\n" for problem in error.problems)
        return USAGE
    except SourceError as error:
        stderr.write(f"slicewatch {name}: {error}\n")
        return UNREACHABLE
    except SystemExit as leave:  # argparse's --help
        return leave.code if isinstance(leave.code, int) else 0
    return status


def _discard(stdout: TextIO) -> None:
    """Let what is still buffered go nowhere, else the interpreter complains of the broken pipe at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stdout.fileno())
    os.close(nowhere)


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
    from exporter import doctor  # noqa: PLC0415

    return doctor.main(argv, environ, stdout)


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


_COMMANDS: Mapping[str, Command] = {
    "exporter": _exporter,
    "demo": _demo,
    "status": _status,
    "why": _why,
    "lint": _lint,
    "doctor": _doctor,
}
