"""What is shipped is pinned to the file, under licences that allow it, and told in a bill that a stranger's program can read."""

from __future__ import annotations

import json
import re
from email.message import Message
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tools.supply import sbom
from tools.supply.closure import ROOT, SETS, asked, constraints, packages
from tools.supply.licence import REMARKS, TERMS, UnknownLicenceError, foreign, identifiers, licence

KIND = pytest.mark.parametrize("of", list(SETS))
_PIN = re.compile(r"^([\w.-]+)==(\S+?)(?: ; (\S.*?))? \\$", re.MULTILINE)
_HASH = re.compile(r"^    --hash=sha256:[0-9a-f]{64}(?: \\)?$")


def pins(of: str) -> dict[str, str]:
    """Versions of a file of requirements, by name."""
    return {name: version for name, version, _ in _PIN.findall(text(of))}


def text(of: str) -> str:
    return (ROOT / "requirements" / f"{of}.txt").read_text()


@KIND
def test_every_package_of_a_set_is_pinned_in_both_files_to_one_version(of: str) -> None:
    versions = {each.name: each.version for each in packages(of)}
    assert pins(of) == versions
    assert versions.items() <= constraints().items()


@KIND
def test_every_file_has_a_hash_and_no_address(of: str) -> None:
    lines = text(of).splitlines()
    assert [line for line in lines if not _HASH.match(line) and not _PIN.match(line)] == []
    for before, line in zip(lines, [*lines[1:], ""], strict=True):
        assert _HASH.match(line) or not before.endswith("\\"), before
    assert "://" not in text(of)


@KIND
def test_a_set_holds_what_it_asks_for_and_what_those_need(of: str) -> None:
    found = {each.name: each for each in packages(of)}
    assert set(asked(of)) <= set(found)
    assert {name for each in found.values() for name in each.needs} <= set(found)
    reached, todo = set(asked(of)), list(asked(of))
    while todo:
        new = set(found[todo.pop()].needs) - reached
        reached |= new
        todo += new
    assert reached == set(found)


def test_the_exporter_carries_no_data_frames_and_the_evaluator_no_client_of_kubernetes() -> None:
    names = {of: {each.name for each in packages(of)} for of in SETS}
    assert {"polars", "numpy"} & names["exporter"] == set()
    assert "kubernetes" not in names["slo"]


@KIND
def test_nothing_is_shipped_under_a_licence_that_does_not_allow_it(of: str) -> None:
    assert {each.name: found for each in packages(of) if (found := foreign(each.licence))} == {}


def test_every_licence_and_remark_that_is_told_is_of_something() -> None:
    everything = {each.name: each for of in SETS for each in packages(of)}
    assert set(REMARKS) <= set(everything)
    assert {each for package in everything.values() for each in identifiers(package.licence)} == set(TERMS)


def described(**fields: str) -> Message:
    made = Message()
    for name, value in fields.items():
        made[name.replace("_", "-")] = value
    return made


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        (described(License_Expression="MIT AND BSD-3-Clause"), "MIT AND BSD-3-Clause"),
        (described(License="Apache 2.0"), "Apache-2.0"),
        (described(License="see LICENSE", Classifier="License :: OSI Approved :: MIT License"), "MIT"),
        (described(License_Expression="GPL-3.0-only"), "GPL-3.0-only"),
    ],
)
def test_a_licence_is_read_from_whatever_a_package_says(metadata: Message, expected: str) -> None:
    assert licence("any", metadata) == expected


@pytest.mark.parametrize("metadata", [described(), described(License="BSD"), described(License="GPLv3")])
def test_a_licence_that_is_not_understood_is_left_to_a_person(metadata: Message) -> None:
    with pytest.raises(UnknownLicenceError, match="read it"):
        licence("any", metadata)


@pytest.mark.parametrize("expression", ["GPL-3.0-only", "MIT AND AGPL-3.0-or-later", "LicenseRef-Proprietary"])
def test_a_licence_that_forbids_is_found(expression: str) -> None:
    assert foreign(expression)


@KIND
def test_a_bill_is_fresh_and_the_same_each_time(of: str) -> None:
    path = f"sbom/{of}.cdx.json"
    assert Path(ROOT / path).read_text() == sbom.files()[path] == sbom.document(of), "run `make sbom`"


@KIND
def test_a_bill_is_valid_and_says_what_the_set_is(of: str) -> None:
    written = (ROOT / "sbom" / f"{of}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(written) is None
    bill = json.loads(written)
    assert {each["name"]: each["version"] for each in bill["components"]} == pins(of)
    needs = {each["ref"]: each.get("dependsOn", []) for each in bill["dependencies"]}
    assert set(needs) == {each["bom-ref"] for each in bill["components"]} | {bill["metadata"]["component"]["bom-ref"]}
    assert len(needs[bill["metadata"]["component"]["bom-ref"]]) == len(asked(of))
    assert all(each["licenses"] for each in bill["components"])


def test_a_bill_that_is_none_is_refused() -> None:
    assert (
        JsonStrictValidator(SchemaVersion.V1_6).validate_str('{"bomFormat": "CycloneDX", "components": 1}') is not None
    )
