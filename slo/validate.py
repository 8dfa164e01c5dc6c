"""`slicewatch slo validate [FILE|DIR …]`: what is wrong with objectives, or may be.

Exit status 0: well-formed; 1: with --strict, when something may be wrong; 2: a file is not well-formed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

from slo import routes, specfile, specschema
from slo.extra import need
from slo.lint import Finding, false_pages, findings
from slo.spec import PartitionSLO
from toolkit.errors import ConfigError
from toolkit.flags import FlagParser
from toolkit.values import whole_number
from toolkit.yamltree import quoted

_FLEET = "1000"
_MOST = 10_000_000
_FORMATS = ("openslo", "sloth")


def main(argv: Sequence[str], environ: Mapping[str, str], stdout: TextIO, stderr: TextIO) -> int:
    """Validate files. Raises ConfigError with every fault of every file."""
    del environ, stderr
    parser = FlagParser(
        "slicewatch slo validate", "What is wrong with objectives, or may be. The shipped ones, without files."
    )
    parser.add_argument("path", nargs="*", type=Path, metavar="FILE|DIR", help="PartitionSLO files, or folders of them")
    parser.add_argument(
        "--partitions",
        default=_FLEET,
        metavar="N",
        help=f"size of the fleet that alerts are weighed for (default {_FLEET})",
    )
    parser.add_argument(
        "--alertmanager",
        type=Path,
        metavar="FILE",
        help="an Alertmanager configuration: is every severity told to somebody?",
    )
    parser.add_argument("--strict", action="store_true", help="exit with 1 when something may be wrong")
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.add_argument(
        "--schema", action="store_true", help="write the JSON schema of a PartitionSLO file, for editors"
    )
    parser.add_argument(
        "--export",
        choices=_FORMATS,
        help="write the objectives in another's format (YAML); what it cannot say stands in comments at the top",
    )
    flags = parser.parse(argv)
    if flags.schema:
        stdout.write(specschema.document())
        return 0
    try:
        partitions = whole_number(1, _MOST)(flags.partitions)
    except ValueError as error:
        raise ConfigError(f"--partitions: {quoted(flags.partitions)}; expected {error}") from error
    specs = specfile.load_all(flags.path)
    if flags.export is not None:
        stdout.writelines(_exported(flags.export, specs))
        return 0
    routing = None if flags.alertmanager is None else routes.load(flags.alertmanager)
    found = findings(specs, partitions, routing)
    stdout.write(_document(specs, found, partitions) if flags.json else _text(specs, found, partitions))
    return 1 if found and flags.strict else 0


def _exported(name: str, specs: Sequence[PartitionSLO]) -> list[str]:
    need()
    from slo.export import openslo, sloth  # noqa: PLC0415  # their queries are those of the rules, which need numpy

    document = openslo.document if name == "openslo" else sloth.document
    return [document(spec) for spec in specs]


def _text(specs: Sequence[PartitionSLO], found: Sequence[Finding], partitions: int) -> str:
    lines = [f"warning: {one}" for one in found]
    objectives = sum(len(spec.objectives) for spec in specs)
    pages = sum(false_pages(spec, one, partitions) for spec in specs for one in spec.objectives)
    lines.append(
        f"{_count(len(specs), 'SLO')} with {_count(objectives, 'objective')}: well-formed, {_count(len(found), 'warning')}; "
        f"{_figure(pages)} false pages a week are expected of {partitions:,} healthy partitions"
    )
    return "\n".join(lines) + "\n"


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _figure(number: float) -> str:
    """Two digits: an expectation has no more."""
    return f"{float(f'{number:.2g}'):,.12g}"


def _document(specs: Sequence[PartitionSLO], found: Sequence[Finding], partitions: int) -> str:
    written = {
        "partitions": partitions,
        "slos": [
            {
                "name": spec.name,
                "objectives": [
                    {
                        "name": one.name,
                        "target": one.target,
                        "false_pages_a_week": false_pages(spec, one, partitions),
                    }
                    for one in spec.objectives
                ],
            }
            for spec in specs
        ],
        "warnings": [{"slo": one.slo, "objective": one.objective, "text": one.text} for one in found],
    }
    return json.dumps(written, indent=1) + "\n"
