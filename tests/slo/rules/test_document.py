"""Rule files as text: what PyYAML reads back is what was meant, and a person can read it too."""

from __future__ import annotations

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from slo.rules import document
from slo.rules.gotext import MATCHERS, ask, literal
from slo.rules.model import Alert, Group, Record
from tests.slo.rules.made import SPECS

TEXT = document.prometheus(document.rules(SPECS), "Made by a test")


def test_the_file_is_what_prometheus_expects():
    read = yaml.safe_load(TEXT)
    assert list(read) == ["groups"]
    first = read["groups"][0]
    assert first["name"] == "gpu-slo-compute"
    assert first["interval"] == "1m"
    assert {key for rule in first["rules"] for key in rule} <= {
        "record",
        "alert",
        "expr",
        "for",
        "keep_firing_for",
        "labels",
        "annotations",
    }


def test_the_same_specs_give_the_same_text():
    assert document.prometheus(document.rules(SPECS), "Made by a test") == TEXT


def test_long_expressions_are_blocks_and_nothing_is_an_anchor_or_folded():
    assert "expr: |-\n" in TEXT
    assert "\\n" not in "".join(line for line in TEXT.splitlines() if "expr:" in line)
    tokens = [type(token) for token in yaml.scan(TEXT)]
    assert yaml.AnchorToken not in tokens
    assert yaml.AliasToken not in tokens
    assert {token.style for token in yaml.scan(TEXT) if isinstance(token, yaml.ScalarToken)} <= {None, "|", "'", '"'}


def test_the_operators_object_holds_the_same_groups():
    read = yaml.safe_load(document.operator(document.rules(SPECS), "slicewatch-slo"))
    assert read["apiVersion"] == "monitoring.coreos.com/v1"
    assert read["kind"] == "PrometheusRule"
    assert read["metadata"] == {"name": "slicewatch-slo"}
    assert read["spec"] == yaml.safe_load(TEXT)


def test_the_head_says_how_it_was_made_and_a_comment_cannot_break_out():
    assert TEXT.startswith("# Made by a test\ngroups:\n")
    hostile = document.prometheus([], "one\ngroups: [evil]\x1b[2J\u2028x: 1")
    assert yaml.safe_load(hostile) == {"groups": None}


def test_no_specs_make_no_rules():
    assert document.rules(()) == ()


any_text = st.text(st.characters(codec="utf-8"), max_size=30)


@example("\x85", "\u2028a", "\n")
@given(any_text, any_text, any_text)
def test_whatever_text_is_in_a_rule_is_read_back(expression: str, label: str, annotation: str):
    rules = (Record("a:b:c", expression, {"l": label}), Alert("A", expression, {"l": label}, {"s": annotation}, 60, 90))
    (read,) = yaml.safe_load(document.prometheus([Group("g", 60, rules)]))["groups"]
    record, alert = read["rules"]
    assert record == {"record": "a:b:c", "expr": expression, "labels": {"l": label}}
    assert alert["expr"] == expression
    assert alert["annotations"] == {"s": annotation}
    assert (alert["for"], alert["keep_firing_for"]) == ("1m", "1m30s")


def test_braces_of_a_user_stay_braces():
    assert literal("a {{ .Value }} b") == 'a {{ "{{" }} .Value }} b'


def test_a_percent_sign_in_a_query_is_no_format():
    assert ask(f'a{{b="1%",{MATCHERS}}}', "own", "found", "missing") == (
        '{{ with query (printf `a{b="1%%",%s}` $own) }}found{{ else }}missing{{ end }}'
    )
    assert "`" not in ask('a{b="`"}', "own", "", "").replace('\\"`\\"', "")
