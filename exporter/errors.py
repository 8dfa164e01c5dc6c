"""How a source of readings fails; the rest of the tree is `toolkit.errors`."""

from __future__ import annotations

from exporter.model import Reason
from toolkit.errors import UnreachableError


class SourceError(UnreachableError):
    """A source could not be read; `reason` is what every value that hangs on it is missing for."""

    def __init__(self, message: str, reason: Reason = Reason.ERROR) -> None:
        super().__init__(message)
        self.reason = reason
