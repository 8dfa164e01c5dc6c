"""Bills of materials in CycloneDX: who is in a set, in which version, under which licence, and who needs whom.

    python -m tools.supply.sbom            writes sbom/
    python -m tools.supply.sbom --check    says which of them are not fresh

A bill has no time and a serial number made of its content: the same packages make the same bytes.
"""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Mapping

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from exporter import __version__
from tools.supply.closure import ROOT, SETS, Package, asked, packages

_NAMESPACE = uuid.UUID("6f1d7f2c-6d0e-5d0b-9a55-5a5e3f6b8c11")


def document(of: str) -> str:
    """Return the bill of a set."""
    found = packages(of)
    bom = Bom()
    program = _component("slicewatch", __version__, "Apache-2.0", ComponentType.APPLICATION)
    bom.metadata.component = program
    components = {each.name: _component(each.name, each.version, each.licence) for each in found}
    bom.components.update(components.values())
    bom.register_dependency(program, [components[name] for name in asked(of)])
    for each in found:
        bom.register_dependency(components[each.name], [components[name] for name in each.needs])
    bom.serial_number = uuid.uuid5(_NAMESPACE, _content(of, found))
    tree = json.loads(JsonV1Dot6(bom).output_as_string())
    del tree["metadata"]["timestamp"]
    return json.dumps(tree, indent=2, sort_keys=True) + "\n"


def _component(name: str, version: str, licence: str, kind: ComponentType = ComponentType.LIBRARY) -> Component:
    url = PackageURL("pypi", name=name, version=version)
    return Component(
        name=name,
        version=version,
        type=kind,
        licenses=[LicenseFactory().make_from_string(licence)],
        purl=url,
        bom_ref=url.to_string(),
    )


def _content(of: str, found: tuple[Package, ...]) -> str:
    return json.dumps([of, __version__, [[each.name, each.version, each.licence] for each in found]])


def files() -> Mapping[str, str]:
    """Every bill by its path in the repository."""
    return {f"sbom/{of}.cdx.json": document(of) for of in SETS}


def main(arguments: list[str]) -> int:
    """Write, or check; the exit status is 1 when a bill is not fresh."""
    stale = {path: text for path, text in files().items() if not _same(path, text)}
    if "--check" in arguments:
        for path in stale:
            sys.stderr.write(f"{path} is not what is installed: run `make sbom`\n")
        return 1 if stale else 0
    for path, text in stale.items():
        (ROOT / path).parent.mkdir(exist_ok=True)
        (ROOT / path).write_text(text)
    return 0


def _same(path: str, text: str) -> bool:
    return (ROOT / path).is_file() and (ROOT / path).read_text() == text


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
