"""The licence of a package as an SPDX expression, and whether what bears it may be shipped with an Apache-2.0 program."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.message import Message
from importlib.metadata import PackageMetadata

_REVIEWED: Mapping[str, str] = {
    "nvidia-ml-py": "BSD-3-Clause",  # its metadata say BSD; pynvml.py carries the text with three clauses
    "polars": "MIT",  # its metadata hold the text
    "polars-runtime-32": "MIT",
    "hyperframe": "MIT",
}
"""Packages whose licence a person has read."""

_WORDS: Mapping[str, str] = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "3-Clause BSD License": "BSD-3-Clause",
    "MIT License": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}
"""What metadata say instead of an SPDX identifier."""

TERMS: Mapping[str, str] = {
    "0BSD": "permissive",
    "Apache-2.0": "permissive, as ours",
    "BSD-2-Clause": "permissive",
    "BSD-3-Clause": "permissive",
    "CC0-1.0": "public domain",
    "ISC": "permissive",
    "MIT": "permissive",
    "MPL-2.0": "weak copyleft, by file: shipped unmodified, its source is public",
    "PSF-2.0": "permissive",
    "Zlib": "permissive",
}
"""Licences under which something may be shipped with an Apache-2.0 program, and what they ask."""

REMARKS: Mapping[str, str] = {
    "numpy": "Its wheels hold OpenBLAS (BSD-3-Clause) and GCC's run-time libraries (GPL-3.0-or-later WITH GCC-exception-3.1, "
    "which allows any program to carry them).",
    "certifi": "Mozilla's list of authorities. Nobody changes it here; whoever does must publish the changed file.",
}


class UnknownLicenceError(Exception):
    """A package says nothing that is understood: a person has to read it."""


def licence(name: str, metadata: PackageMetadata | Message) -> str:
    """Return a package's licence as an SPDX expression. Raises UnknownLicenceError."""
    for expression in metadata.get_all("License-Expression") or ():
        return str(expression)
    if name in _REVIEWED:
        return _REVIEWED[name]
    classifiers = [
        each.rpartition(" :: ")[2] for each in metadata.get_all("Classifier") or () if each.startswith("License")
    ]
    for said in (*(metadata.get_all("License") or ()), *classifiers):
        word = _WORDS.get(said.strip(), said.strip())
        if word in TERMS:
            return str(word)
    raise UnknownLicenceError(f"{name}: no licence that is known; read it, and add it to tools/supply/licence.py")


def identifiers(expression: str) -> set[str]:
    """Return the licences that an expression names."""
    return set(re.findall(r"[A-Za-z0-9.+-]+", expression)) - {"AND", "OR"}


def foreign(expression: str) -> set[str]:
    """Return the licences of an expression under which nothing is known to be allowed to be shipped with this program."""
    return identifiers(expression) - TERMS.keys()
