"""What a site can be asked, found out by asking it for nothing much."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlencode

import yaml

from slo.prometheus import instant, remote_read, vm_export
from slo.prometheus.client import Client
from slo.prometheus.protobuf import read_request
from slo.prometheus.refusals import RefusedError


class Route(StrEnum):
    """How history is read."""

    REMOTE_READ = "remote-read"
    EXPORT = "export"
    QUERY = "query"


_BUSY: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE}
_NOTHING: Final = "slicewatch_probe"
"""A metric that nobody has."""
_CONFIG: Final = "/api/v1/status/config"


def route(client: Client) -> Route:
    """Return the fastest way to its history. Raises UnreachableError."""
    ask = read_request(_NOTHING, (), 1, 2)
    if _kind(client, remote_read.PATH, ask, remote_read.HEADERS).startswith(remote_read.KIND):
        return Route.REMOTE_READ
    form = urlencode({"match[]": _NOTHING, "start": "1", "end": "2"}).encode()
    if _kind(client, vm_export.PATH, form, vm_export.HEADERS).startswith(vm_export.KINDS):
        return Route.EXPORT
    instant.rows(client, "vector(1)", 0)
    return Route.QUERY


def external_labels(client: Client) -> Mapping[str, str]:
    """Return the labels that a Prometheus adds to what leaves it; none where that is not told. Raises UnreachableError."""
    try:
        told = json.loads(client.get(_CONFIG))
        found: Any = yaml.safe_load(told["data"]["yaml"])["global"]["external_labels"]
        return {str(name): str(value) for name, value in found.items()}
    except RefusedError as error:
        if error.status in _BUSY:
            raise
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError):
        pass
    return {}


def _kind(client: Client, path: str, body: bytes, headers: Mapping[str, str]) -> str:
    """The Content-Type of an answer; of a refusal nothing."""
    try:
        with client.stream(path, body, headers, gzip=False) as answer:
            for _ in answer.parts:
                pass
            return answer.kind
    except RefusedError as error:
        if error.status in _BUSY:
            raise
        return ""
