"""The library is built once, rebuilt when it must be, and says what is missing."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fake_nvml.build import SONAME, BuildError, build, exported
from tests.nvml_fake.conftest import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("built"))


def test_an_up_to_date_library_is_left_alone_and_another_variant_is_not(built: Path) -> None:
    first = built.stat().st_ino
    assert build(built.parent) == built
    assert built.stat().st_ino == first
    build(built.parent, without=["nvmlGpm*"])
    assert built.stat().st_ino != first
    build(built.parent)


def test_it_needs_nothing_but_libc_and_has_the_drivers_soname(built: Path) -> None:
    facts = subprocess.run(["readelf", "-d", str(built)], capture_output=True, text=True, check=True).stdout
    assert re.findall(r"\(SONAME\).*\[(.*)\]", facts) == [SONAME]
    assert re.findall(r"\(NEEDED\).*\[(.*)\]", facts) == ["libc.so.6"]


def test_it_exports_what_its_sources_say_and_nothing_else(built: Path) -> None:
    listed = subprocess.run(
        ["nm", "-D", "--defined-only", str(built)], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert {line.split()[-1] for line in listed} == exported()
    assert "nvmlInitWithFlags" in exported()


def test_a_pattern_that_names_no_symbol_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BuildError, match=r"nvmlGmp\*: the fake driver exports no such symbol"):
        build(tmp_path, without=["nvmlGmp*"])


def test_without_a_compiler_the_error_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(BuildError, match="no C compiler found"):
        build(tmp_path / "out")


def test_it_is_a_program_too(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.fake_nvml.build", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()) == tmp_path / SONAME
    assert (tmp_path / SONAME).exists()
