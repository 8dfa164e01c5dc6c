"""Every page of the captures is read as its answer says: devices, values, owners, counts, bad lines, suspects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from exporter.dcgm import fields
from exporter.dcgm.page import parse
from tests.dcgm.answers import ROOT, body, cases, expected, names, told


@pytest.fixture(scope="module")
def matched() -> Iterator[set[str]]:
    """The pages that match; how many there are is printed at the end."""
    found: set[str] = set()
    yield found
    print(f"\n{len(found)} of {len(names())} pages are read as their answers say")  # noqa: T201  # asked for


def near(value: object) -> Any:
    """The same tree in which numbers compare as the captures' README says."""
    if isinstance(value, dict):
        return {key: near(item) for key, item in value.items()}
    if isinstance(value, list):
        return [near(item) for item in value]
    if isinstance(value, float | int) and not isinstance(value, bool):
        return pytest.approx(value, rel=1e-9)
    return value


def answer(name: str) -> dict[str, Any]:
    """The answer without what is for people, in the order of `told`."""
    whole = expected(name)
    return {
        "devices": [
            {key: value for key, value in device.items() if key != "notes"}
            | {"owner_hints": sorted(device["owner_hints"], key=str)}
            for device in whole["devices"]
        ],
        "counts": whole["counts"],
        "bad_lines": [each["line"] for each in whole["bad_lines"]],
        "suspects": sorted(whole["suspects"], key=str),
    }


@pytest.mark.parametrize("name", cases())
def test_a_page_is_read_as_its_answer_says(name: str, matched: set[str]):
    found, wanted = told(parse(body(name))), answer(name)
    assert found.keys() == wanted.keys()
    for part in ("counts", "bad_lines", "suspects"):
        assert found[part] == wanted[part], part
    assert len(found["devices"]) == len(wanted["devices"])
    for device, want in zip(found["devices"], wanted["devices"], strict=True):
        assert device == near(want)
    matched.add(name)


@pytest.mark.parametrize("name", cases())
def test_what_becomes_of_its_lines_adds_up(name: str):
    counts = parse(body(name)).counts
    assert counts.sum == counts.lines


@pytest.mark.skipif(not names(), reason=f"no captures at {ROOT}")
def test_the_table_of_fields_is_that_of_the_captures():
    table = json.loads((ROOT / "fields.json").read_text())
    ours: dict[str, set[str]] = {}
    by_key = {field.key: field for field in fields.BY_NAME.values()}
    for name, field in fields.BY_NAME.items():
        ours.setdefault(field.key, set()).add(name.lower())
    assert ours == {key: {name.lower() for name in row["spellings"]} for key, row in table.items()}
    for key, row in table.items():
        field = by_key[key]
        assert (field.number, field.factor, field.scope.value, field.kind.value) == (
            row["dcgm_field_id"],
            row["factor"],
            row["scope"],
            row["kind"],
        ), key
