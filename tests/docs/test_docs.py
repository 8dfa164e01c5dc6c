"""The documents say what is so: every link, flag, metric, command, file and excerpt in them is checked against the code."""

from __future__ import annotations

import io
import itertools
import posixpath
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from bench.hardware import __main__ as hardware
from exporter import options
from exporter.catalogue import CHECKS, GUARANTEES, METRICS, ORPHAN_KINDS, OUTCOMES
from exporter.demand import DemandPolicy
from exporter.model import Enforcer, PromiseClass, Reason, Sharing
from exporter.policy import Policy
from exporter.simulator import scenario
from exporter.sources.declared import Limits
from exporter.verdict import Cause, Evidence
from slicewatch import PROGRAM
from slo import app as slo_app
from slo.run.metrics import StatusCollector
from slo.run.status import Status
from tests.docs.reading import ROOT, anchors, code, documents, links, written

WRITTEN = sorted(written())
OTHERS = {
    "--help",
    "--version",
    "--lint",
    "--web.route-prefix",
    "--alertmanager.url",
    "--ignore-daemonsets",
    "--field-selector",
    "--target",
    "--secret",
    "--stand-in",
    "--build-flag",
}
"""Flags of every command line, and of promtool, amtool, Alertmanager, kubectl, buildah and `make image`."""


@pytest.mark.parametrize("path", sorted(documents()))
def test_a_link_leads_to_a_file_and_a_heading_that_exist(path: str) -> None:
    broken = []
    for target in links(documents()[path]):
        if target.startswith(("https://", "http://")):
            continue
        file, _, fragment = target.partition("#")
        there = posixpath.normpath(posixpath.join(posixpath.dirname(path), file)) if file else path
        if there in documents():
            if fragment and fragment not in anchors(documents()[there]):
                broken.append(target)
        elif fragment or not (ROOT / there).exists():
            broken.append(target)
    assert broken == []


def test_every_document_is_reached_from_the_readme() -> None:
    reached, todo = {"README.md"}, ["README.md"]
    while todo:
        path = todo.pop()
        for target in links(documents()[path]):
            there = posixpath.normpath(posixpath.join(posixpath.dirname(path), target.partition("#")[0]))
            if there in documents() and there not in reached:
                reached.add(there)
                todo.append(there)
    decisions = {path for path in documents() if path.startswith("docs/decisions/")}
    assert set(documents()) - reached - decisions == set()
    assert decisions & reached


def commands() -> list[list[str]]:
    """Every command, as its words."""
    plain = [[name] for name in PROGRAM.commands if name != "slo"]
    return [*plain, *(["slo", name] for name in slo_app.commands(""))]


def flags_of(command: list[str], capsys: pytest.CaptureFixture[str]) -> set[str]:
    """Flags that a command's own help names."""
    assert PROGRAM.run([*command, "--help"], {}, io.StringIO(), io.StringIO()) == 0
    return set(re.findall(r"(?<![\w-])--[a-z][a-z.-]*[a-z]", capsys.readouterr().out))


def all_flags(capsys: pytest.CaptureFixture[str]) -> set[str]:
    kit = re.findall(r"(?<![\w-])--[a-z][a-z.-]*[a-z]", hardware.parser().format_help())
    return {flag for command in commands() for flag in flags_of(command, capsys)} | set(kit)


def test_every_flag_in_a_document_exists(capsys: pytest.CaptureFixture[str]) -> None:
    known = all_flags(capsys) | OTHERS
    named = {(path, flag) for path in WRITTEN for flag in _flags(written()[path])}
    assert {(path, flag) for path, flag in named if flag not in known} == set()
    assert named


def test_every_flag_is_documented(capsys: pytest.CaptureFixture[str]) -> None:
    text = "\n".join(documents().values())
    options = set(re.findall(r"^\| `([a-z.-]+)` \|", documents()["docs/configuration.md"], re.MULTILINE))
    told = set(_flags(text)) | {f"--{option}" for option in options}
    assert all_flags(capsys) - told - OTHERS == set()


def _flags(text: str) -> Iterable[str]:
    for piece in code(text):
        yield from re.findall(r"(?<![\w-])--[a-z][a-z.-]*[a-z]", piece)


def test_every_metric_in_a_document_is_in_the_catalogue() -> None:
    own = StatusCollector((), Status, "").collect()
    known = {f"{metric.name}{part}" for metric in METRICS for part in ("", "_sum", "_bucket")} | {
        name for family in own for name in (family.name, f"{family.name}_total")
    }
    named = {
        (path, name)
        for path in WRITTEN
        for name in re.findall(
            r"\b(?:gpu_(?:device|partition|accounted)|slicewatch)_[a-z_]*[a-z]\b(?!_)", written()[path]
        )
    }
    assert {(path, name) for path, name in named if name not in known} == set()
    assert named


def test_every_command_in_a_document_exists_and_every_command_is_in_the_readme() -> None:
    named = {
        (path, word)
        for path in WRITTEN
        for piece in code(written()[path])
        for word in re.findall(r"(?:^|(?<!-n)(?<!install)(?<!namespace)[\s/])slicewatch(?:\.py)? ([a-z]+)", piece)
    }
    assert {(path, word) for path, word in named if word not in PROGRAM.commands} == set()
    assert {word for path, word in named if path == "README.md"} == set(PROGRAM.commands)


def test_every_verb_of_make_in_a_document_exists() -> None:
    verbs = set(re.findall(r"^([a-z]+):.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word for text in written().values() for piece in code(text) for word in re.findall(r"\bmake ([a-z]+)", piece)
    }
    assert named - verbs == set()
    assert named


def test_every_file_that_a_document_names_exists() -> None:
    shapes = re.compile(r"(?:exporter|tests|tools|docs|slo)/[\w./-]*|[\w-]+\.(?:toml|md)|Makefile")
    named = {
        (path, piece)
        for path in WRITTEN
        for piece in code(written()[path])
        if shapes.fullmatch(piece) and piece not in documents()
    }
    assert {(path, name) for path, name in named if not (ROOT / name).exists()} == set()
    assert named


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (Sharing, "docs/sharing.md"),
        (Reason, "docs/troubleshooting.md"),
        (Cause, "docs/troubleshooting.md"),
        (ORPHAN_KINDS, "docs/troubleshooting.md"),
        (CHECKS, "docs/design.md"),
        (CHECKS, "docs/troubleshooting.md"),
        (Evidence, "docs/design.md"),
        (OUTCOMES, "docs/design.md"),
        (GUARANTEES, "docs/design.md"),
        (Enforcer, "docs/design.md"),
        (PromiseClass, "docs/design.md"),
        (scenario.names(), "docs/verification.md"),
    ],
    ids=[
        "modes",
        "reasons",
        "causes",
        "orphans",
        "checks",
        "checks and what to do",
        "evidence",
        "outcomes",
        "guarantees",
        "enforcers",
        "classes",
        "scenarios",
    ],
)
def test_every_word_of_a_vocabulary_is_documented(words: Iterable[str], path: str) -> None:
    text = written()[path]
    tabled = path != "docs/design.md"
    shapes = ("| `{}` |", ": `{}`\n", "- `{}`:") if tabled else ("`{}`", "| {} |")
    missing = [str(word) for word in words if not any(shape.format(word) in text for shape in shapes)]
    assert missing == []


def test_every_scenario_that_a_document_plays_exists() -> None:
    played = {
        name
        for text in written().values()
        for piece in code(text)
        for name in re.findall(r"scenario[ =]([a-z0-9-]+)", piece)
    }
    assert played - set(scenario.names()) == set()
    assert played


@pytest.mark.parametrize("path", WRITTEN)
def test_a_document_names_only_paths_that_every_node_has(path: str) -> None:
    enforcers = [option.default for option in (options.HAMI, options.MPS)] + [str(Path(options.DRA.default).parent)]
    known = ("/dev/nvidia", "/var/lib/kubelet/pod-resources", "/proc", *enforcers)
    served = {"/metrics", "/snapshot", "/-/healthy", "/-/ready", "/"}
    absolute = {
        found for piece in code(written()[path]) for found in re.findall(r"(?<![\w.:/…*-])/[\w./-]*", piece) if found
    }
    assert {found for found in absolute if found not in served and not found.startswith(known)} == set()


def test_the_fatal_xids_and_allowed_names_of_the_design_are_those_of_the_code() -> None:
    from exporter import policy

    text = " ".join(written()["docs/design.md"].split())
    listed = re.search(r"\*\*XID\.\*\* ([\d, and]+) break availability", text)
    assert listed is not None
    assert {int(number) for number in re.findall(r"\d+", listed[1])} == policy.FATAL_XIDS
    allowed = re.search(r"\*\*Allowed processes\*\* by name: (.+?); outside pods, or in pods of (.+?)\. A tenant", text)
    assert allowed is not None
    assert set(allowed[1].split(", ")) == policy.ALLOWED_COMMANDS
    assert set(re.split(", | and ", allowed[2])) == policy.SYSTEM_NAMESPACES


def test_the_defaults_of_the_design_are_those_of_the_code() -> None:
    cells = [cell.strip() for cell in re.findall(r"[^|\n]+", written()["docs/design.md"])]
    told = dict(itertools.pairwise(cells))
    policy, demand, limits = Policy(), DemandPolicy(), Limits()
    assert {name: told.get(name) for name in _DEFAULTS} == {
        name: default.format(p=policy, d=demand, l=limits) for name, default in _DEFAULTS.items()
    }
    # The window's constants that no policy changes stand in the text.
    text = " ".join(written()["docs/design.md"].split())
    assert f"for {demand.hold:g} s, then it is blind, `demand_unknown`" in text
    assert f"from the window for {demand.patience:g} s" in text
    assert f"{demand.broken_margin:g} of the ratio delivered / entitled towards broken, {demand.kept_margin:g}" in text
    assert f"Below {demand.least_share:.1%} it is idle" in text.replace(" %", "%")
    assert f"For the first {demand.least_seconds:g} s it is blind" in text


_DEFAULTS = {
    "compute tolerance": "{p.compute_tolerance:.2f}",
    "memory tolerance": "{p.memory_tolerance:.2f}",
    "compute window (shared)": "{p.compute_window:g} s",
    "busy threshold (engine)": "{p.busy_threshold:.2f}",
    "reference clock": "{p.reference_clock:g} × maximum",
    "an XID or ECC breach lasts": "{p.xid_seconds:g} s",
    "joins that a race must last": "{p.hold_joins}",
    "ticks that a contradiction must last": "{p.hold_ticks}",
    "declared demand asked / good for": "{l.period:g} s / {l.good_for:g} s",
    "a pod's answer must be there after": "{l.deadline:g} s",
}
