"""docs/licences.md: what is shipped, in which version, under which licence."""

from __future__ import annotations

from tools.supply.closure import SETS, asked, packages
from tools.supply.licence import REMARKS, TERMS, identifiers

_TITLES = {"exporter": "The exporter's set", "slo": "The set of objectives"}


def markdown() -> str:
    """Return the text of docs/licences.md."""
    lines = [
        "# Licences and packages",
        "",
        "<!-- Generated from tools/supply; do not edit. -->",
        "",
        "slicewatch is under Apache-2.0. These are the packages that are installed with it, by set: what it asks for itself stands",
        "in bold, the rest comes with those. Versions are pinned in `constraints.txt`; `requirements/` has the same with the",
        "hash of every file, made by `make lock` (`pip install --require-hashes`), and `sbom/` a bill of materials of each set in",
        "CycloneDX, made by `make sbom`. No package is under a licence that forbids to ship it with an Apache-2.0 program; a test refuses one that is",
        "not in the table below. NVIDIA's driver library is the node's own and is not shipped.",
        "",
        "| licence | terms | packages |",
        "|---|---|---|",
    ]
    everything = {each.name: each for of in SETS for each in packages(of)}
    used = {name: identifiers(each.licence) for name, each in everything.items()}
    for identifier in sorted({each for found in used.values() for each in found}):
        count = sum(identifier in found for found in used.values())
        lines.append(f"| {identifier} | {TERMS.get(identifier, 'not known')} | {count} |")
    for of in SETS:
        lines += ["", f"## {_TITLES[of]}", "", f"`pip install 'slicewatch[{SETS[of]}]'`", ""]
        lines += ["| package | version | licence |", "|---|---|---|"]
        first = asked(of)
        for each in packages(of):
            name = f"**{each.name}**" if each.name in first else each.name
            lines.append(f"| {name} | {each.version} | {each.licence} |")
    lines += ["", "## Remarks", ""]
    lines += [f"* {name}: {said}" for name, said in sorted(REMARKS.items())]
    return "\n".join(lines) + "\n"
