"""What a source is: small Protocols that the real node, the simulator and a recording all satisfy.

A source's method is called by one worker thread, one call at a time, and may block: the deadline, the age and the health
are kept outside (`exporter.witness`), so that a source is only as long as what it reads. It raises `SourceError` when it
cannot be read at all; a single value that it cannot read is `Missing` inside the answer.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Protocol

from exporter.dcgm.reading import DcgmReading
from exporter.model import Allocations, DriverReading, Missing, Pods, ProcessTable
from exporter.records import DaemonKey, HookKey, Limit, Prepared


class Driver(Protocol):
    """The GPU driver: inventory and readings."""

    def read(self, now: float) -> DriverReading:
        """Read everything once. `now` is monotonic seconds and becomes the reading's `at`. Raises SourceError."""

    def close(self) -> None:
        """Give back what the driver handed out (samples, event sets, the library)."""


class Kubelet(Protocol):
    """The kubelet's word on which container holds which device."""

    def read(self, now: float) -> Allocations:
        """Ask once. Raises SourceError."""

    def close(self) -> None:
        """Close the channel."""


class PodSource(Protocol):
    """Pods of this node and the node's labels; kept fresh by a watch of its own, so that `read` is a look-up."""

    def read(self, now: float) -> Pods:
        """Return the store as it is. Raises SourceError while it has never been filled or is too old."""

    def close(self) -> None:
        """End the watch."""


class ProcessSource(Protocol):
    """Facts about processes, from procfs."""

    def read(self, pids: Collection[int]) -> ProcessTable:
        """Look these pids up; one that is gone is left out. Raises SourceError when procfs itself is unreadable."""


class HookSource(Protocol):
    """What hooks inside of tenants' containers have set; anything there may be the tenant's own writing."""

    def read(self, asked: Collection[HookKey], now: float) -> Mapping[HookKey, Limit | Missing]:
        """Read the limits of these containers. Raises SourceError when none can be read."""

    def close(self) -> None:
        """Give back what was opened."""


class DaemonSource(Protocol):
    """What MPS control daemons have set, by resource and GPU, or by claim and device."""

    def read(
        self, gpus: Collection[int], claims: Mapping[str, Collection[str]], now: float
    ) -> Mapping[DaemonKey, Limit | Missing]:
        """Ask the plugin's daemons for their limits on the GPUs of these indices, and the claims' (uid → UUIDs of devices).

        Raises SourceError when none of them can be asked.
        """

    def close(self) -> None:
        """Give back what was opened."""


class PreparedSource(Protocol):
    """What a DRA driver has prepared for claims."""

    def read(self, now: float) -> tuple[Prepared, ...]:
        """Return every prepared device. Raises SourceError."""

    def close(self) -> None:
        """Give back what was opened."""


class DcgmSource(Protocol):
    """What a dcgm-exporter measures of devices."""

    def read(self, now: float) -> DcgmReading:
        """Ask once. `now` is monotonic seconds. Raises SourceError."""

    def close(self) -> None:
        """Close the connection."""


class DemandSource(Protocol):
    """What workloads say themselves of the work that waits for them; asked off the tick, so that `read` is a look-up."""

    def read(
        self, pods: Pods, holders: Collection[tuple[str, str]], now: float
    ) -> Mapping[tuple[str, str], bool | Missing]:
        """Return, of these pods (namespace, name), whether work is waiting; one that does not say is left out."""

    def problems(self) -> tuple[str, ...]:
        """What is the matter with pods that should say and do not, one line each."""

    def close(self) -> None:
        """Ask no more."""
