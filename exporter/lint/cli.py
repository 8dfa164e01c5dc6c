"""`slicewatch lint` on the command line: what is to be looked at, and the table of what was found.

Exit status 0: every promise can be kept and somebody keeps it (notes do not count); 1: not so; 2: usage, or a file that
cannot be read; 3: a node that cannot be reached.
"""

from __future__ import annotations

import argparse
import inspect
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from exporter import policyfile
from exporter.lint import manifests, snapshot
from exporter.lint.model import CODES, Board, Finding, Severity, counted
from exporter.lint.rules import NODE_RULES, PLAN_RULES, RULE_NAMES, counts, holds, lint, ordered
from exporter.policy import Policy
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.yamltree import quoted, suggestion

_BOARD = re.compile(r"(?:([1-9][0-9]{0,2})x )?(?![0-9]+x )(\S.*):([1-9][0-9]{0,8})(MiB|GiB)")
_COLOURS = {
    Severity.IMPOSSIBLE: "1;31",
    Severity.UNENFORCED: "31",
    Severity.LEAKING: "31",
    Severity.BYPASSED: "31",
    Severity.CONDITIONAL: "33",
    Severity.NOTE: "2",
}
_DESCRIPTION = "Find promises that cannot be kept, and promises that nobody keeps, in manifests and on live nodes."


def main(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Run lint; returns 0 or 1. Raises ConfigError (2), SourceError (3), and SystemExit(0) after --help."""
    del stderr  # faults are raised, and everything else is what was asked for
    asked = _parser().parse(argv)
    if asked.rules:
        stdout.write(rules_table())
        return 0
    boards = tuple(_board(text) for text in asked.gpu)
    ignore = _ignored(asked.ignore)
    paths = [Path(text) for text in asked.file]
    if not paths and not asked.url:
        raise ConfigError("nothing to lint: expected -f FILE_OR_DIRECTORY, or --url http://NODE:9945")
    if boards and not paths:
        raise ConfigError("--gpu describes the node that manifests are for; expected -f as well")
    policy = policyfile.load(Path(asked.policy)) if asked.policy else Policy()
    findings: list[Finding] = []
    seen = []
    if paths:
        plan = manifests.read(paths, boards)
        findings += lint(plan, policy, ignore)
        seen.append(counted(plan.documents, "object"))
    for url in asked.url:
        node = snapshot.fetch(url)
        findings += lint(node, policy, ignore)
        seen.append(f"{counted(len(node.partitions), 'partition')} on {node.name}")
    found = ordered(findings)
    status = 0 if holds(found) else 1
    if asked.json:
        stdout.write(as_json(found, status))
    else:
        colour = stdout.isatty() and "NO_COLOR" not in environ
        stdout.write(table(found, colour=colour) + summary(found, seen, status))
    return status


def _parser() -> FlagParser:
    parser = FlagParser("slicewatch lint", _DESCRIPTION)
    parser.add_argument(
        "-f",
        "--file",
        action="extend",
        nargs="+",
        default=[],
        metavar="PATH",
        help="Kubernetes YAML: files, directories, or - for standard input; may be repeated",
    )
    parser.add_argument(
        "--url", action="append", default=[], metavar="URL", help="an exporter, http://NODE:9945; may be repeated"
    )
    parser.add_argument(
        "--gpu",
        action="append",
        default=[],
        metavar="MODEL:MEMORY",
        help='GPUs of the node that is to carry the manifests: "NVIDIA L40S:46068MiB", "4x NVIDIA A30:24GiB"; may be repeated',
    )
    parser.add_argument("--policy.file", dest="policy", metavar="FILE", help="policy file with system namespaces")
    parser.add_argument(
        "--ignore", action="append", default=[], metavar="RULE", help="leave a rule out; may be repeated"
    )
    parser.add_argument("--json", action="store_true", help="findings for programs")
    parser.add_argument("--rules", action="store_true", help="list the rules and the sources of their facts")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    return parser


def _board(text: str) -> Board:
    found = _BOARD.fullmatch(text)
    if found is None:
        raise ConfigError(f'--gpu {quoted(text)}; expected "MODEL:MEMORY" such as "4x NVIDIA L40S:46068MiB"')
    return Board(found[2], int(found[3]) * (1024 if found[4] == "GiB" else 1), int(found[1] or 1))


def _ignored(names: Sequence[str]) -> frozenset[str]:
    unknown = [name for name in names if name not in RULE_NAMES]
    if unknown:
        raise ConfigError(
            *(f"--ignore {quoted(name)} is no rule{suggestion(name, RULE_NAMES)}; see --rules" for name in unknown)
        )
    return frozenset(names)


def table(findings: Iterable[Finding], *, colour: bool = False) -> str:
    """One line for each finding, in columns, and its advice below it."""
    rows = [(_plain(f.found.where), _plain(f.found.what), CODES[f.severity], f) for f in findings]
    if not rows:
        return ""
    where, what, code = _widths([row[:3] for row in rows])
    lines = []
    for place, subject, word, finding in rows:
        painted = f"\x1b[{_COLOURS[finding.severity]}m{word}\x1b[0m" if colour else word
        padding = " " * (code - len(word))
        lines.append(f"{place:<{where}}  {subject:<{what}}  {painted}{padding}  {_plain(finding.found.why)}")
        lines.append(f"{'':<{where}}  → {_plain(finding.found.advice)} [{finding.rule}]")
    return "\n".join(lines) + "\n"


def _widths(rows: Sequence[tuple[str, str, str]]) -> list[int]:
    return [max(map(len, column)) for column in zip(*rows, strict=True)]


def _plain(text: str) -> str:
    """Names come from manifests and tenants: what is not printable must not reach a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def summary(findings: Sequence[Finding], seen: Sequence[str], status: int) -> str:
    """How many findings of what kind, in what, and the exit status."""
    kinds = ", ".join(f"{number} {severity}" for severity, number in counts(findings).items())
    return f"{counted(len(findings), 'finding')}{f' ({kinds})' if kinds else ''} in {_plain(', '.join(seen))}   exit {status}\n"


def as_json(findings: Sequence[Finding], status: int) -> str:
    """The findings for programs; keys are added, never renamed."""
    document = {
        "findings": [
            {
                "rule": finding.rule,
                "severity": finding.severity.value,
                "code": CODES[finding.severity],
                "where": finding.found.where,
                "what": finding.found.what,
                "why": finding.found.why,
                "advice": finding.found.advice,
            }
            for finding in findings
        ],
        "counts": {severity.value: number for severity, number in counts(findings).items()},
        "exit": status,
    }
    return json.dumps(document, indent=1) + "\n"


def rules_table() -> str:
    """Every rule with its severity and its docstring: what it finds, and where the fact is from."""
    lines = []
    described = [(rule.name, rule.severity, inspect.getdoc(rule.find) or "") for rule in PLAN_RULES]
    described += [(rule.name, rule.severity, inspect.getdoc(rule.find) or "") for rule in NODE_RULES]
    for name, severity, text in described:
        lines.append(f"{name} ({severity})")
        lines += [f"    {line}".rstrip() for line in text.splitlines()]
    return "\n".join(lines) + "\n"
