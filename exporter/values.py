"""Values of the exporter's own options, each parsed once into a type.

A parser raises ValueError whose message is what was expected, so that whoever read the text can say where it stood.
"""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path

from toolkit.errors import ConfigError
from toolkit.site import Site, site

_NAME = re.compile(r"[^\s\x00-\x1f\x7f]{1,253}")


class SourceKind(StrEnum):
    """Where readings come from."""

    NVML = "nvml"
    SIMULATOR = "simulator"
    REPLAY = "replay"


class KubernetesMode(StrEnum):
    """How the API server is found when no kubeconfig is named: in the cluster if this is a pod, or not at all."""

    AUTO = "auto"
    OFF = "off"


def kubernetes(text: str) -> KubernetesMode | Path:
    """Parse auto, off, or a kubeconfig's path, which holds a slash so that a misspelt word is no path."""
    if text in set(KubernetesMode):
        return KubernetesMode(text)
    if "/" not in text or "\0" in text:
        raise ValueError("auto, off or the path of a kubeconfig with a slash in it (./kubeconfig)")
    return Path(text)


def scenario(text: str) -> str | Path:
    """Parse the name of a scenario, or a scenario file's path, which holds a slash."""
    if not text or "\0" in text:
        raise ValueError("the name of a scenario, or the path of one with a slash in it")
    return Path(text) if "/" in text else text


def dcgm_url(text: str) -> Site | None:
    """Parse the URL of a dcgm-exporter's page; empty switches it off."""
    if not text:
        return None
    try:
        return site(text)
    except ConfigError as error:
        raise ValueError("the URL of a page, such as http://localhost:9400/metrics") from error


def node_name(text: str) -> str:
    """Parse a node's name; empty is the default. A Kubernetes node's name is a DNS subdomain: at most 253 letters."""
    if text and not _NAME.fullmatch(text):
        raise ValueError("a name of at most 253 characters without white space")
    return text
