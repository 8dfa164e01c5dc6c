"""The packages that a set is made of: what pyproject.toml asks for, and what those ask for in turn.

Who needs whom and under which licence is read from the packages that are installed; the versions are those of constraints.txt,
so that the answer is the same on every machine. A set is what any supported Python on Linux might install.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.supply.licence import licence

ROOT = Path(__file__).parents[2]

SETS: Mapping[str, str] = {"exporter": "kubernetes", "slo": "slo"}
"""Sets that are shipped, and the extra of slicewatch that each is."""

_PYTHONS = ("3.11", "3.12", "3.13", "3.14")


class SupplyError(Exception):
    """A package cannot be told: it is not installed, or not in constraints.txt."""


@dataclass(frozen=True, slots=True)
class Package:
    """One package; `needs` are names of others of the set."""

    name: str
    version: str
    licence: str
    needs: tuple[str, ...]


@cache
def packages(of: str) -> tuple[Package, ...]:
    """Return the packages of a set by name. Raises SupplyError."""
    found: dict[str, Package] = {}
    todo = list(_wanted(_asked(of), frozenset()))
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        # What an extra brings is looked up even if the package itself is known.
        needs = list(_wanted(_requirements(name), frozenset(requirement.extras)))
        if name not in found:
            found[name] = Package(name, _version(name), licence(name, metadata.metadata(name)), ())
            todo += needs
        names = {*found[name].needs, *(canonicalize_name(each.name) for each in needs)}
        found[name] = Package(name, found[name].version, found[name].licence, tuple(sorted(names)))
    return tuple(found[name] for name in sorted(found))


def asked(of: str) -> tuple[str, ...]:
    """Return the names that pyproject.toml itself asks for."""
    return tuple(sorted({canonicalize_name(each.name) for each in _wanted(_asked(of), frozenset())}))


def _asked(of: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    return [Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"][SETS[of]])]


def _requirements(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(name) or ()]
    except metadata.PackageNotFoundError as error:
        raise SupplyError(f"{name} is not installed here: make setup") from error


def _wanted(requirements: Iterable[Requirement], extras: frozenset[str]) -> Iterable[Requirement]:
    """Those that hold on some supported Python, on Linux."""
    for requirement in requirements:
        marker = requirement.marker
        if marker is None or any(
            marker.evaluate(_environment(python, extra)) for python in _PYTHONS for extra in (extras or {""})
        ):
            yield requirement


def _environment(python: str, extra: str) -> dict[str, str]:
    return {
        "implementation_name": "cpython",
        "implementation_version": f"{python}.0",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
        "extra": extra,
    }


@cache
def constraints() -> Mapping[str, str]:
    """Return the pinned version of every package of constraints.txt, by its canonical name."""
    lines = re.findall(r"^([\w.-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    return {canonicalize_name(name): version for name, version in lines}


def _version(name: str) -> str:
    try:
        return constraints()[name]
    except KeyError as error:
        raise SupplyError(f"{name} is not in constraints.txt") from error
