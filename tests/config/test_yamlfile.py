"""Strict YAML: where faults are, that all are told, and that hostile files end quickly."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toolkit import yamlfile
from toolkit.errors import ConfigError


def problems(text: str) -> tuple[str, ...]:
    """Read a document with the keys name, count, ratio, on, kind and list, and return its faults."""
    try:
        document = yamlfile.load("f.yaml", text)
        fields = document.root.mapping()
        for key, method in (("name", "string"), ("on", "boolean"), ("list", "sequence")):
            if key in fields:
                getattr(fields.take(key), method)()
        if (count := fields.get("count")) is not None:
            count.integer(minimum=1, maximum=10)
        if (ratio := fields.get("ratio")) is not None:
            ratio.number(minimum=0, maximum=1)
        if (kind := fields.get("kind")) is not None:
            kind.choice(("mig", "gpu"))
        fields.finish()
        document.finish()
    except ConfigError as error:
        return error.problems
    return ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("# nothing\n", ()),
        ("name: a\ncount: 3\nratio: .5\non: yes\nkind: mig\nlist: [1, 2]\n", ()),
        ("name: 12\n", ()),
        ("nam: a\n", ('f.yaml:1:1: unknown key "nam", did you mean "name"?',)),
        ("zzz: a\n", ('f.yaml:1:1: unknown key "zzz"; expected count, kind, list, name, on or ratio',)),
        ("name: a\nname: b\n", ('f.yaml:2:1: the key "name" is written twice, first in line 1',)),
        ("name:\n", ("f.yaml:1:6: nothing is written here; expected text",)),
        ("name: [a]\n", ("f.yaml:1:7: a list; expected text",)),
        ("count: 11\n", ('f.yaml:1:8: "11"; expected a whole number from 1 to 10',)),
        ("count: 1:30\n", ('f.yaml:1:8: "1:30"; expected a whole number from 1 to 10',)),
        ("count: '3'\n", ('f.yaml:1:8: "3"; expected a whole number from 1 to 10',)),
        ("ratio: .inf\n", ('f.yaml:1:8: ".inf"; expected a number from 0 to 1',)),
        ("ratio: .nan\n", ('f.yaml:1:8: ".nan"; expected a number from 0 to 1',)),
        ("ratio: 5e-1\n", ()),
        ("on: 'true'\n", ('f.yaml:1:5: "true"; expected true or false',)),
        ("kind: mgi\n", ('f.yaml:1:7: "mgi"; expected mig or gpu',)),
        ("kind: gpus\n", ('f.yaml:1:7: "gpus", did you mean "gpu"?; expected mig or gpu',)),
        ("list: a\n", ('f.yaml:1:7: "a"; expected a list',)),
        ("- a\n", ("f.yaml:1:1: a list; expected a mapping",)),
        (
            "name: !!python/name:os.system x\n",
            ('f.yaml:1:7: the tag "tag:yaml.org,2002:python/name:os.system" is not',),
        ),
        ("name: !secret x\n", ('f.yaml:1:7: the tag "!secret" is not allowed; expected a plain value',)),
        ("? [a]\n: b\n", ("f.yaml:1:3: a key that is no word; expected text before the colon",)),
        ("a: &a {name: x}\n<<: *a\n", ("f.yaml:1:1: unknown key", "f.yaml:2:1: merge keys are not supported")),
        ("name: a\n---\nname: b\n", ("f.yaml:2:1: but found another document",)),
        ("name: 'a\n", ("f.yaml:2:1: found unexpected end of stream",)),
        ("name: *x\n", ("f.yaml:1:7: found undefined alias 'x'",)),
        ("list: &l [*l]\n", ("f.yaml:1:7: the anchor contains itself",)),
        ("name: a\x07\n", ("f.yaml:1:8: the character U+0007 is not allowed",)),
        ("list: " + "[" * 500 + "]" * 500, ("f.yaml:1:38: nested deeper than 32 levels",)),
    ],
)
def test_a_document_is_read_or_its_fault_is_named_with_its_place(text: str, expected: tuple[str, ...]):
    found = problems(text)
    assert len(found) == len(expected), found
    assert all(line.startswith(start) for line, start in zip(found, expected, strict=True)), found


def test_all_faults_of_a_file_are_told_at_once_in_the_order_of_the_file():
    found = problems("typo: 1\ncount: many\nratio: 7\nname: a\nname: b\n")
    assert [line.split(":")[1] for line in found] == ["1", "2", "3", "5"]


def test_an_alias_stands_for_what_it_names():
    root = yamlfile.load("f", "a: &x [1, 2]\nb: *x\n").root.mapping()
    assert [item.integer() for item in root.take("b").sequence()] == [1, 2]


def test_an_alias_bomb_is_refused():
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    with pytest.raises(ConfigError, match="aliases expand to more than 100000 values"):
        yamlfile.load("f", "\n".join(lines))


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path):
    large, binary = tmp_path / "large", tmp_path / "binary"
    large.write_bytes(b"a" * (yamlfile.MAX_BYTES + 1))
    binary.write_bytes(b"a: b\nc: \xff\n")
    for path, expected in (
        (tmp_path / "none", "cannot be read: No such file or directory"),
        (tmp_path, "cannot be read: Is a directory"),
        (large, "larger than"),
        (binary, "binary:2:1: not UTF-8 text"),
    ):
        with pytest.raises(ConfigError, match=expected) as caught:
            yamlfile.read(path)
        assert len(caught.value.problems) == 1


def test_a_byte_order_mark_is_no_fault(tmp_path: Path):
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: a\n")
    assert yamlfile.read(path).root.mapping().take("name").string() == "a"


def test_a_message_never_holds_a_line_feed_of_the_file():
    assert problems('"a\\nb\\e[31m": 1\n') == (
        'f.yaml:1:1: unknown key "a\\nb\\x1b[31m"; expected count, kind, list, name, on or ratio',
    )


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_a_config_error(text: str):
    problems(text)
