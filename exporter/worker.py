"""One thread that makes one source's calls, one at a time.

A call into a driver that hangs cannot be cancelled; it can only be waited for no longer. So each source has a daemon
thread of its own: the collecting thread hands it a call, waits as long as it likes, and goes on. A thread that is still
inside a call is never handed another, so that NVML never sees two.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """A finished call: its value, or what it raised; `took` is its own seconds, without the wait to be collected."""

    value: T | None
    error: Exception | None
    took: float


class Worker(Generic[T]):
    """A named daemon thread that runs the calls handed to it. Used by one other thread only. `clock` is monotonic seconds."""

    def __init__(self, name: str, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._calls: SimpleQueue[Callable[[], T | None] | None] = SimpleQueue()
        self._finished = threading.Event()
        self._done: Done[T] | None = None
        self._busy = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    @property
    def busy(self) -> bool:
        """Whether a call has been handed over whose result has not been taken."""
        return self._busy

    def start(self, call: Callable[[], T | None]) -> None:
        """Hand a call over. Must not be busy."""
        if self._busy:
            raise RuntimeError("the worker is still inside its last call")
        self._busy = True
        self._finished.clear()
        self._calls.put(call)

    def take(self, patience: float) -> Done[T] | None:
        """Return the finished call, waiting `patience` seconds at most; None while it is still running."""
        if not self._busy or not self._finished.wait(patience):
            return None
        done, self._done, self._busy = self._done, None, False
        return done

    def end(self, patience: float) -> None:
        """Let the thread end after its call; wait `patience` seconds at most."""
        self._calls.put(None)
        self._thread.join(patience)

    def _run(self) -> None:
        while (call := self._calls.get()) is not None:
            started = self._clock()
            value: T | None = None
            failure: Exception | None = None
            try:
                value = call()
            except Exception as error:  # noqa: BLE001  # whatever a source raises is that source's failure alone
                failure = error
            self._done = Done(value, failure, max(0.0, self._clock() - started))
            self._finished.set()
