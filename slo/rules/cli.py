"""`slicewatch slo rules` on the command line: rules, their tests, or Alertmanager's configuration, from specs to YAML.

Exit status: 0 written; 2 usage, a spec that does not hold, or a file that cannot be written. What is left out of the rules
because nothing could ever fire it is said on standard error.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from slo import specfile
from slo.rules import document, promtests, routing, windows
from slo.rules.texts import RUNBOOKS, Links
from slo.spec import PartitionSLO
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.yamltree import quoted

_DESCRIPTION = "Write recording and alerting rules, one set an objective, for Prometheus, Mimir, Thanos or vmalert."
_STANDARD = "-"
_OBJECT = "slicewatch-slo"


def main(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Write what was asked for; returns 0. Raises ConfigError (2), and SystemExit(0) after --help."""
    del environ
    asked = _parser().parse(argv)
    if asked.alertmanager and asked.tests:
        raise ConfigError("--alertmanager and --tests are two outputs: expected one of them")
    if asked.split and (asked.alertmanager or asked.tests or asked.output != _STANDARD):
        raise ConfigError("--split writes rules into a folder: expected no --output, --alertmanager or --tests with it")
    specs = _specs(asked.path)
    stderr.writelines(f"notice: {said}\n" for spec in specs for said in windows.impossible(spec))
    made = _Making(asked, argv, specs)
    if asked.split:
        made.split(Path(asked.split))
    elif asked.output == _STANDARD:
        stdout.write(made.text())
    else:
        _write(Path(asked.output), made.text())
    return 0


class _Making:
    """What was asked for, and the specs that it is made from."""

    def __init__(self, asked: argparse.Namespace, argv: Sequence[str], specs: Sequence[PartitionSLO]) -> None:
        self._asked = asked
        self._specs = specs
        self._links = Links(asked.runbook_url, asked.dashboard_url)
        command = shlex.join(("slicewatch", "slo", "rules", *argv))
        self._comment = f"Made by: {command}\nDo not edit: change the spec and make it again."

    def text(self) -> str:
        """Return the one output that was asked for."""
        if self._asked.alertmanager:
            whom = routing.Receivers(tenants=_tenants(self._asked.team))
            return routing.document(self._specs, whom, self._comment)
        if self._asked.tests:
            return promtests.document(self._specs, self._asked.rules_file, self._comment, self._links)
        groups = document.rules(self._specs, self._links)
        if self._asked.format == "operator":
            return document.operator(groups, _OBJECT, self._comment)
        return document.prometheus(groups, self._comment)

    def split(self, folder: Path) -> None:
        """Write a file for each SLO, and one for what belongs to none."""
        parts = {spec.name: document.of_one(spec, self._links) for spec in self._specs}
        parts[document.SHARED] = document.shared(self._specs, self._links)
        for name, groups in parts.items():
            if self._asked.format == "operator":
                text = document.operator(groups, f"{_OBJECT}-{name}", self._comment)
            else:
                text = document.prometheus(groups, self._comment)
            _write(folder / f"{name}.yaml", text)


def _parser() -> FlagParser:
    parser = FlagParser("slicewatch slo rules", _DESCRIPTION)
    parser.add_argument("path", nargs="*", metavar="FILE|DIR", help="specs; without any, the shipped ones")
    parser.add_argument(
        "--output", default=_STANDARD, metavar="FILE", help="where to write; - is standard output (default)"
    )
    parser.add_argument("--split", default="", metavar="DIR", help="write a file for each SLO into this folder")
    parser.add_argument(
        "--format", choices=("prometheus", "operator"), default="prometheus", help="operator: PrometheusRule objects"
    )
    parser.add_argument("--alertmanager", action="store_true", help="write Alertmanager's configuration instead")
    parser.add_argument("--tests", action="store_true", help="write promtool unit tests of the rules instead")
    parser.add_argument(
        "--rules-file",
        default="rules.yaml",
        metavar="FILE",
        help="the rule file that --tests names (default rules.yaml)",
    )
    parser.add_argument(
        "--team",
        action="append",
        default=[],
        metavar="NAMESPACE=RECEIVER",
        help="with --alertmanager: a namespace's tickets go to this receiver; may be repeated",
    )
    parser.add_argument(
        "--runbook-url",
        default=RUNBOOKS,
        metavar="URL",
        help="{alert} in it becomes the alert's name; else the name is put behind it in lower case (default: this project's, relative)",
    )
    parser.add_argument(
        "--dashboard-url",
        default="",
        metavar="URL",
        help="a dashboard to link to; labels become its variables var-NAME",
    )
    return parser


def _specs(paths: Sequence[str]) -> tuple[PartitionSLO, ...]:
    specs = specfile.load_all([Path(path) for path in paths])
    if document.SHARED in {spec.name for spec in specs}:
        raise ConfigError(f"an SLO may not be called {document.SHARED}: the alerts about the watching itself are")
    return specs


def _tenants(pairs: Sequence[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        namespace, equals, receiver = pair.partition("=")
        if not (namespace and equals and receiver):
            raise ConfigError(f"--team {quoted(pair)}: expected NAMESPACE=RECEIVER")
        found[namespace] = receiver
    return found


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
