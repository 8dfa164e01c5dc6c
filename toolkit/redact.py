"""Secrets taken out of a text before anybody reads it: the last line, behind code that does not put them there. Pure.

Messages hold what somebody else wrote: a URL as a user typed it, what a library says of it, what a gateway repeats of a
request. So what looks like a credential is taken out of every error of this program and of every line of its log.
"""

from __future__ import annotations

import re

_HIDDEN = "…"

_PATTERNS = (
    # The user's part of a URL, whatever is in it; the hint that shows the form is none.
    (re.compile(r"(?<=://)(?!USER:PASSWORD@)[^\s/?#]+@"), f"{_HIDDEN}@"),
    # "basic authentication" is none: in a token there is more than small letters.
    (re.compile(r"\b([Bb]earer|[Bb]asic) +(?=[a-z]*[^a-z\s])[A-Za-z0-9._~+/-]{8,}=*"), rf"\1 {_HIDDEN}"),
    # A JSON web token: service accounts have them.
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"), _HIDDEN),
    (re.compile(r"-----BEGIN ([A-Z ]*PRIVATE KEY)-----.*?(?:-----END \1-----|\Z)", re.DOTALL), _HIDDEN),
)


def redacted(text: str) -> str:
    """Return the text without what looks like a credential."""
    for pattern, instead in _PATTERNS:
        text = pattern.sub(instead, text)
    return text
