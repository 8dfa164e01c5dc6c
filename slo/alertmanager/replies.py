"""What a peer's HTTP answer means for the alerts that it was sent. Pure."""

from __future__ import annotations

import json
from http import HTTPStatus
from typing import Final

from slo.alertmanager.batches import Reply, Verdict
from slo.alertmanager.payload import PATH

_LONGEST: Final = 300

_REFUSED = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})


def judge(status: int, body: bytes, location: str | None = None) -> Reply:
    """Judge an answer. A 200 that carries neither nothing nor JSON is somebody else's: a login page, a proxy."""
    match status // 100:
        case 2 if not body.strip() or _is_json(body):
            return Reply(Verdict.ACCEPTED)
        case 2:
            why = "with something that no Alertmanager says"
        case 3:
            why = f"with a redirect{f' to {word(location)}' if location else ''}: give the address itself"
        case _ if status in _REFUSED:
            return Reply(Verdict.REFUSED, f"answered {status}: {_told(body)}")
        case _ if status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            why = "and does not take these credentials"
        case _ if status == HTTPStatus.NOT_FOUND:
            why = f"for {PATH}: is a path prefix missing, or one too many?"
        case _:
            why = f"and said: {_told(body)}"
    return Reply(Verdict.FAILED, f"answered {status} {why}")


def word(text: str) -> str:
    """Cut and clean what somebody else said, so that it fits into a line of ours."""
    short = text if len(text) <= _LONGEST else text[:_LONGEST] + "…"
    return "".join(c if c.isprintable() else " " for c in short)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True


def _told(body: bytes) -> str:
    """What an error's body says: Alertmanager's is a JSON string, or an object with a message; a proxy's is anything."""
    text = body.decode("utf-8", "replace").strip()
    try:
        read = json.loads(text)
    except (ValueError, RecursionError):
        read = text
    if isinstance(read, dict):
        read = read.get("message") or read.get("error") or text
    return word(str(read)) or "nothing more"
