"""Label values as they may stand on a page: bounded, and of characters that every reader of both formats takes.

Names of Kubernetes are short and plain, but not every text that becomes a label went through the API server: a recording,
a checkpoint, a scheduler's annotation and a kubelet's id are whatever was written there. So the page has a bound of its own,
and no source can get around it. What is cut or cleaned ends in a digest of the whole, so that two texts never become one
series. Pure.
"""

from __future__ import annotations

import hashlib
import re

MAX_BYTES = 320
"""Of a label value in UTF-8. The longest name that Kubernetes accepts, an extended resource's, has 253 + 1 + 63."""

_DIGEST = 16
_UNREADABLE = re.compile("[\x00\ud800-\udfff]")
"""U+0000 ends a text for whatever on its way is written in C; a lone surrogate is an undecodable byte, not UTF-8."""


def bounded(value: str) -> str:
    """Return the value itself, or, if it is too long or cannot be written, a readable part of it and a digest."""
    if len(value) <= MAX_BYTES and value.isascii() and "\0" not in value:
        return value
    clean = _UNREADABLE.sub("\ufffd", value)
    written = clean.encode()
    if clean == value and len(written) <= MAX_BYTES:
        return value
    digest = hashlib.sha256(value.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGEST]
    head = written[: MAX_BYTES - _DIGEST - 1].decode("utf-8", "ignore")
    return f"{head}~{digest}"
