"""Which command was asked for, and what its end means. The only place that knows exit statuses.

0 as asked, 1 a guarantee or check does not hold, 2 usage or configuration, 3 a source could not be reached.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TextIO

from toolkit.errors import ConfigError, UnreachableError

USAGE = 2
UNREACHABLE = 3

Command = Callable[[Sequence[str], Mapping[str, str], TextIO, TextIO], int]


@dataclass(frozen=True, slots=True)
class Program:
    """Commands by name. `name` is what messages begin with."""

    name: str
    help: str
    version: str
    commands: Mapping[str, Command]

    def run(self, argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
        """Run one command line and return its exit status."""
        if not argv:
            stderr.write(self.help)
            return USAGE
        name, *rest = argv
        if name in {"-h", "--help", "help"}:
            stdout.write(self.help)
            return 0
        if name in {"-V", "--version", "version"}:
            stdout.write(f"{self.name} {self.version}\n")
            return 0
        command = self.commands.get(name)
        if command is None:
            stderr.write(f"{self.name}: unknown command {name!r}: expected one of {', '.join(self.commands)}\n")
            return USAGE
        try:
            status = command(rest, environ, stdout, stderr)
            stdout.flush()  # here, where a reader that has hung up can be told from a crash
        except BrokenPipeError:
            _discard(stdout)
            return 0
        except ConfigError as error:
            stderr.writelines(f"{self.name} {name}: {problem}\n" for problem in error.problems)
            return USAGE
        except UnreachableError as error:
            stderr.write(f"{self.name} {name}: {error}\n")
            return UNREACHABLE
        except SystemExit as leave:  # argparse's --help
            return leave.code if isinstance(leave.code, int) else 0
        return status


def _discard(stdout: TextIO) -> None:
    """Let what is still buffered go nowhere, else the interpreter complains of the broken pipe at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stdout.fileno())
    os.close(nowhere)
