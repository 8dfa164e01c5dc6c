"""slicewatch beside the tenants: the exporter as a server, its snapshots, and the recorder."""

from __future__ import annotations

import json
import re
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from bench.hardware.children import Child, ChildError, Crew

_ADDRESS: Final = re.compile(r'msg"?[=:] ?"?serving"?.*?address"?[=:] ?"?([0-9.:]+)')
_PATIENCE: Final = 30.0
_POLL: Final = 0.05
_NO_PROXY: Final = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Exporter:
    """The exporter, started on a free port of the loopback."""

    def __init__(self, crew: Crew, flags: Sequence[str], name: str = "exporter") -> None:
        self._child = crew.python(name, "slicewatch", "exporter", "--web.listen-address=127.0.0.1:0", *flags)
        self._crew = crew
        self._address = ""

    def ready(self) -> None:
        """Wait for the first page. Raises ChildError when it does not come."""
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            found = _ADDRESS.search(self._child.log)
            if found:
                self._address = found[1]
                if self._get("/-/ready") is not None:
                    return
            if self._child.process.poll() is not None:
                break
            time.sleep(_POLL)
        raise ChildError(f"the exporter does not serve: {self._child.log[-2000:]}")

    def snapshot(self) -> dict[str, Any]:
        """Return the joined node with its verdicts. Raises ChildError."""
        body = self._get("/snapshot")
        if body is None:
            raise ChildError(f"the exporter gives no snapshot: {self._child.log[-2000:]}")
        found: dict[str, Any] = json.loads(body)
        return found

    def metrics(self) -> str:
        """Return the page. Raises ChildError."""
        body = self._get("/metrics")
        if body is None:
            raise ChildError("the exporter gives no page")
        return body.decode()

    def end(self) -> None:
        """End it."""
        self._crew.dismiss(self._child)

    def _get(self, path: str) -> bytes | None:
        try:
            with _NO_PROXY.open(f"http://{self._address}{path}", timeout=10) as response:
                body: bytes = response.read()
                return body
        except (urllib.error.URLError, OSError):
            return None


def record(crew: Crew, flags: Sequence[str], path: Path, seconds: float) -> Child:
    """Start recording into a file; the child ends by itself."""
    return crew.python(
        "recorder",
        "slicewatch",
        "record",
        f"--output={path}",
        f"--duration={max(1, round(seconds))}s",
        "--names=keep",
        *flags,
    )


def command(crew: Crew, name: str, arguments: Sequence[str], within: float = 60.0) -> tuple[int, str]:
    """Run a command of slicewatch to its end; return its status and what it wrote to standard output."""
    child = crew.start(name, [sys.executable, "-m", "slicewatch", *arguments])
    output, _ = child.process.communicate(timeout=within)
    crew.dismiss(child)
    return child.process.returncode, output.decode("utf-8", "replace")
