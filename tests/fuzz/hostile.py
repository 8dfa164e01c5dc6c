"""Texts, trees and bytes as somebody writes them who wants to do harm, or who has a newer version: near the real thing."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from hypothesis import strategies as st

GPU = "GPU-8b0e7153-bf7c-3706-d85c-524e44006655"
OTHER = "GPU-9a6656c9-0bd5-482a-90a2-9b9fa5ff5180"
MIG = "MIG-8b0e7153-bf7c-3706-d85c-524e44006655"
UID = "bc0dbc0e-1563-7ebb-8e3b-91d26ab4a829"

ODD = (
    *(
        "",
        " ",
        "\0",
        "\n",
        "\x1b[2J",
        "\u2028",
        "\ufffd",
        "٣",
        "İ",
        "ı",
        "K",
        "ſ",
        "\U0001f4a9",
        '"',
        "\\",
        "{",
        "}",
        "..",
        "/",
    ),
    *("-1", "0", "1", "1.5", "1e400", "nan", "inf", "9" * 40, "9" * 5000, "0x10", "１", "١٢", "1_0"),
    *("all", "true", "null", "mps", "time-slicing", "none", "MPS", "TimeSlicing", "PrepareCompleted", "PrepareStarted"),
    *("gpu.nvidia.com", "nvidia.com/gpu", "gpu-0", "gpu-1-mig-3g40gb-9-0", "10Gi", "10Ei", "8192M", "19G", "1g.10gb"),
    *(GPU, OTHER, MIG, UID, f"{GPU}::3", f"{GPU}-4", f"MIG-{GPU}/1/0", "nvidia0/gi1/vgpu2", f"{GPU},NVIDIA,8000,30:;"),
)


def texts(*near: str) -> st.SearchStrategy[str]:
    """Any text, odd texts, and these with something cut, doubled or put in between."""
    pieces = st.sampled_from((*ODD, *near)) | st.text(max_size=6)
    return pieces | st.lists(pieces, max_size=6).map("".join) | mangled(near or (GPU,))


NUMBERS: tuple[str, ...] = (
    "0",
    "00",
    "-1",
    "1",
    "2",
    "1.5",
    "101",
    "999999999",
    "9999999999",
    "9" * 19,
    "9" * 21,
    "9" * 40,
    "9" * 5000,
)
NUMBERS += ("0.0", ".5", "1e400", "1_0", "0x10", "nan", "inf", "\u0663", "\uff11", "")
"""What stands where a number should."""

_ALIKE = {
    "i": "\u0130\u0131",
    "k": "\u212a",
    "s": "\u017f",
    "-": "\u2010_",
    ":": "\uff1a;",
    "/": "\u2215",
    ",": ";",
    " ": "\t\x0b",
}
_DIGITS = re.compile(r"[0-9]+(?:\.[0-9]+)?")


@st.composite
def mangled(draw: st.DrawFn, near: Sequence[str]) -> str:
    """One of these with a piece replaced, a number that is none, or a character by one that looks or folds alike."""
    text = draw(st.sampled_from(list(near)))
    numbers = list(_DIGITS.finditer(text))
    alike = [at for at, letter in enumerate(text) if letter.lower() in _ALIKE]
    how = draw(st.sampled_from(("piece", *(["number"] if numbers else []), *(["alike"] if alike else []))))
    if how == "number":
        found = draw(st.sampled_from(numbers))
        return text[: found.start()] + draw(st.sampled_from(NUMBERS)) + text[found.end() :]
    if how == "alike":
        at = draw(st.sampled_from(alike))
        return text[:at] + draw(st.sampled_from(_ALIKE[text[at].lower()])) + text[at + 1 :]
    start = draw(st.integers(0, len(text)))
    end = draw(st.integers(start, min(len(text), start + 8)))
    return text[:start] + draw(st.sampled_from(ODD) | st.text(max_size=3)) + text[end:]


def trees(*keys: str) -> st.SearchStrategy[Any]:
    """What JSON can say, under these keys mostly."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | texts()
    names = st.sampled_from(keys) | st.text(max_size=4) if keys else st.text(max_size=8)
    return st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=5), max_leaves=16
    )


def grafted(tree: Any, *near: str) -> st.SearchStrategy[Any]:
    """A good tree with one or two of its branches, each as likely as any other, replaced or left out."""
    paths = st.lists(st.sampled_from(list(_paths(tree))), min_size=1, max_size=2)
    other = _SCALARS | texts(*near) | trees()
    return st.builds(_grafts, st.just(tree), paths, st.lists(other, min_size=2, max_size=2))


_SCALARS: st.SearchStrategy[Any] = st.sampled_from(
    (None, True, False, 0, -1, 1, 2**63, 10**400, 1.5, float("nan"), float("inf"), "", [], {}, [[]], [{}])
)


def _paths(tree: Any) -> Iterator[tuple[Any, ...]]:
    """Every way to a branch, the whole tree's first."""
    yield ()
    if isinstance(tree, dict | list):
        for key, branch in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from ((key, *path) for path in _paths(branch))


def _grafts(tree: Any, paths: Sequence[tuple[Any, ...]], branches: Sequence[Any]) -> Any:
    for path, branch in zip(paths, branches, strict=False):
        tree = _graft(tree, path, branch)
    return tree


def _graft(tree: Any, path: Sequence[Any], branch: Any) -> Any:
    if not path:
        return branch
    if isinstance(tree, dict):
        return {key: _graft(value, path[1:], branch) if key == path[0] else value for key, value in tree.items()}
    if isinstance(tree, list):
        return [_graft(item, path[1:], branch) if n == path[0] else item for n, item in enumerate(tree)]
    return tree


@st.composite
def patched(draw: st.DrawFn, good: Callable[[], bytes], most: int) -> bytes:
    """Good bytes with pieces overwritten, cut off, or with more behind them."""
    body = bytearray(good())
    for _ in range(draw(st.integers(0, 4))):
        at = draw(st.integers(0, max(0, len(body) - 1)))
        piece = draw(st.binary(min_size=1, max_size=24))
        body[at : at + len(piece)] = piece
    length = draw(st.sampled_from((len(body), len(body), len(body) - 1, 0, 1)) | st.integers(0, most))
    return bytes(body[: max(0, length)]) + draw(st.binary(max_size=8))
