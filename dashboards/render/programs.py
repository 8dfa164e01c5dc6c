"""The programs of the machine that a drawing needs."""

from __future__ import annotations

import shutil

PACKAGES = {"node": "nodejs", "npm": "npm", "chromium": "chromium"}
"""Which Debian package has each program."""


class NotInstalledError(Exception):
    """A program is missing; the message says which package has it."""


def program(name: str) -> str:
    """Return a program's path; raises NotInstalledError."""
    found = shutil.which(name)
    if found is None:
        raise NotInstalledError(f"{name} is not installed: apt-get install --no-install-recommends {PACKAGES[name]}")
    return found
