"""The command line of objectives: `slicewatch slo COMMAND`. Each command imports what it needs when it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TextIO

from slo.extra import need
from toolkit.command import Command, Program

_HELP = """\
slicewatch slo: from counters to budgets, alerts and pages

usage: slicewatch slo COMMAND [flags]

  validate   read objectives and say what is wrong with them, or may be
  rules      recording and alerting rules for Prometheus, Mimir, Thanos or VictoriaMetrics; routing for Alertmanager
  check      are the objectives kept? For people, CI and cron
  backtest   what objectives would have paged for, and what if they were others
  report     what a period came to, as HTML or Markdown with plots
  run        evaluate every minute, serve what comes of it, post alerts to Alertmanager

`slicewatch slo COMMAND --help` lists the flags. Without files, the objectives that come with the program are taken.
"""


def run(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO, *, version: str) -> int:
    """Run one command line behind `slicewatch slo` and return its exit status."""
    return Program("slicewatch slo", _HELP, version, commands(version)).run(argv, environ, stdout, stderr)


def commands(version: str) -> Mapping[str, Command]:
    """Return the commands by name."""

    def serve(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
        del environ, stdout
        need()
        from slo.run import service, settings  # noqa: PLC0415

        return service.serve(settings.parse(argv), version, stderr)

    return {
        "validate": _validate,
        "rules": _rules,
        "check": _check,
        "backtest": _backtest,
        "report": _report,
        "run": serve,
    }


def _validate(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    from slo import validate  # noqa: PLC0415

    return validate.main(argv, environ, stdout, stderr)


def _rules(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    need()
    from slo.rules import cli  # noqa: PLC0415

    return cli.main(argv, environ, stdout, stderr)


def _check(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    del stderr
    need()
    from slo.check import cli  # noqa: PLC0415

    return cli.main(argv, environ, stdout)


def _backtest(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    del stderr
    need()
    from slo.backtest import cli  # noqa: PLC0415

    return cli.main(argv, environ, stdout)


def _report(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    del stderr
    need()
    need("report", ("jinja2", "matplotlib"))
    from slo.report import cli  # noqa: PLC0415

    return cli.main(argv, environ, stdout)
