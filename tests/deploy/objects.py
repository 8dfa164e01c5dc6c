"""What the manifests of deploy/ come to: rendered by `kubectl kustomize` and by Helm's own engine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import helm_python
import pytest
import yaml

ROOT = Path(__file__).parents[2]
KUSTOMIZE = ROOT / "deploy" / "kustomize"
CHART = ROOT / "deploy" / "chart"
OVERLAYS = tuple(sorted(path.name for path in (KUSTOMIZE / "overlays").iterdir()))
BUILDS = ("base", *OVERLAYS)
"""The base, and each overlay by its folder."""

Object = dict[str, Any]
_CONFIG = re.compile(r"\b(slicewatch-(?:exporter|slo|specs))-[a-z0-9]{10}\b")
"""A ConfigMap's name with kustomize's hash of its content."""


class _Loader(yaml.CSafeLoader):
    """Go writes the text `=` plainly, which YAML 1.1 has a tag for."""


_Loader.add_constructor("tag:yaml.org,2002:value", lambda _, node: node.value)


def parsed(text: str) -> list[Object]:
    """Every object of a YAML text."""
    return [each for each in yaml.load_all(text, _Loader) if each]  # a safe loader


def kubectl() -> str:
    """Find kubectl; without it a failure in CI, elsewhere a skip that says what to install."""
    found = shutil.which("kubectl")
    if found is None:
        said = "kubectl is not installed: kubernetes.io/docs/tasks/tools, 1.27 or newer"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return found


@cache
def kustomized(build: str) -> str:
    """The text that `kubectl kustomize` makes of the base or an overlay."""
    path = KUSTOMIZE / "base" if build == "base" else KUSTOMIZE / "overlays" / build
    run = subprocess.run([kubectl(), "kustomize", str(path)], capture_output=True, text=True, check=False, timeout=60)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr
    return run.stdout


@cache
def objects(build: str) -> tuple[Object, ...]:
    """The objects of `kustomized`, as they are applied."""
    return tuple(parsed(kustomized(build)))


def charted(build: str) -> list[Object]:
    """The objects that Helm makes of the chart with the values that stand for a build."""
    values = {} if build == "base" else yaml.safe_load((CHART / "ci" / f"{build}.yaml").read_text())
    return rendered(values)


def rendered(values: Object) -> list[Object]:
    """The objects that Helm makes of the chart with these values. Raises HelmError."""
    with helm_python.Chart.load(CHART) as chart:
        made = chart.render(values, name="slicewatch", namespace="slicewatch")
    return [each for path, text in made.items() if path.endswith(".yaml") for each in parsed(text)]


def one(found: Iterable[Object], kind: str, name: str = "slicewatch") -> Object:
    """The only object of this kind and name."""
    (it,) = [each for each in found if (each["kind"], each["metadata"]["name"]) == (kind, name)]
    return it


def of(found: Iterable[Object], kind: str) -> list[Object]:
    """All objects of a kind."""
    return [each for each in found if each["kind"] == kind]


def pods(found: Iterable[Object]) -> list[Object]:
    """The pod templates of all workloads."""
    return [each["spec"]["template"] for each in found if each["kind"] in {"DaemonSet", "Deployment"}]


def without_hashes(found: Iterable[Object]) -> list[Object]:
    """The objects, with the ConfigMaps' plain names wherever they are named."""
    return [_plain(each) for each in found]


def _plain(value: Any) -> Any:
    match value:
        case dict():
            return {key: _plain(each) for key, each in value.items()}
        case list():
            return [_plain(each) for each in value]
        case str():
            return _CONFIG.sub(r"\1", value)
        case _:
            return value
