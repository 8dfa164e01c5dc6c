"""The limits that MPS control daemons have set, asked with `nvidia-cuda-mps-control` (source `mps`).

NVIDIA's device plugin runs one daemon a resource and sets its defaults by the GPU's index; NVIDIA's DRA driver runs one a claim
and sets them by the device's UUID: an active thread percentage and, for each device, a pinned memory limit. Both are asked for
with `get_…` commands alone, which change nothing. The answers are texts for people: `25.0`, `3072M`, `3G`. Whether gibibytes are
rounded is not said anywhere, so such an answer is no reading of a limit, and neither is silence.

A daemon's pipes are mounted into its clients, so that one of them may hang it: that costs this daemon's answers alone.

Sources: NVIDIA/k8s-device-plugin cmd/mps-control-daemon/mps/daemon.go (EchoPipeToControl, the limits), root.go (the
directories); k8s-dra-driver-gpu cmd/gpu-kubelet-plugin/sharing.go (`<plugin>/mps/<claim's uid>-<hash>/pipe`); NVIDIA's MPS
documentation, nvidia-cuda-mps-control.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.errors import SourceError
from exporter.model import Missing, Reason
from exporter.records import DaemonKey, Limit
from exporter.sources.short_answer import ask

BINARY = "nvidia-cuda-mps-control"
_MIB = 1024 * 1024
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,3})?)\s*", re.ASCII)
_MEBIBYTES = re.compile(r"([0-9]{1,9})M\s*", re.ASCII)
_MOST_ENTRIES = 64
_MOST_CLAIMS = 256
_UUID = re.compile(r"(?:GPU|MIG)-[0-9a-f-]{36}", re.ASCII)
"""What is written into a daemon's pipe, which takes commands."""


@dataclass(frozen=True, slots=True)
class _Daemon:
    """One daemon: whose it is, where its pipes are, and the names that it has for devices."""

    of: str
    pipe: Path
    devices: tuple[str, ...]


class MpsDaemons:
    """The plugin's daemons under `root`, `<root>/<resource>/pipe`, and claims' own under `claims`. `deadline` is for all.

    Satisfies `base.DaemonSource`.
    """

    def __init__(self, root: str, binary: str = BINARY, deadline: float = 2.5, claims: str | None = None) -> None:
        self._root, self._binary, self._deadline = Path(root), binary, deadline
        self._claims = None if claims is None else Path(claims)

    def read(
        self, gpus: Collection[int], claims: Mapping[str, Collection[str]], now: float
    ) -> Mapping[DaemonKey, Limit | Missing]:
        """Ask every daemon for its limits on its devices. Raises SourceError when none of them can be asked."""
        del now
        until = time.monotonic() + self._deadline
        indices = tuple(f"{index:d}" for index in sorted(gpus))
        daemons = [_Daemon(resource, self._root / resource / "pipe", indices) for resource in self._resources()]
        daemons += self._of_claims(claims)
        found: dict[DaemonKey, Limit | Missing] = {}
        failures: list[SourceError] = []
        for number, daemon in enumerate(daemons):
            share = (until - time.monotonic()) / (len(daemons) - number)
            try:
                found |= self._limits(daemon, time.monotonic() + share)
            except SourceError as error:
                failures.append(error)
                found |= dict.fromkeys([(daemon.of, device) for device in daemon.devices], Missing(error.reason))
        if failures and len(failures) == len(daemons):
            raise failures[0]
        return found

    def _limits(self, daemon: _Daemon, until: float) -> dict[DaemonKey, Limit | Missing]:
        threads = self._ask(daemon.pipe, "get_default_active_thread_percentage", until)
        return {
            (daemon.of, device): limit(
                threads, self._ask(daemon.pipe, f"get_default_device_pinned_mem_limit {device}", until)
            )
            for device in daemon.devices
        }

    def _of_claims(self, claims: Mapping[str, Collection[str]]) -> Iterator[_Daemon]:
        """Daemons of these claims, whose directories begin with the claim's uid."""
        if self._claims is None or not claims:
            return
        try:
            names = sorted(each.name for each in os.scandir(self._claims) if each.is_dir(follow_symlinks=False))
        except OSError:
            return  # no daemon has been started here, or its directory is not mounted: the limits stay unread
        for name in names[:_MOST_CLAIMS]:
            of = next((uid for uid in claims if name == uid or name.startswith(f"{uid}-")), None)
            if of is not None:
                devices = tuple(uuid for uuid in sorted(claims[of]) if _UUID.fullmatch(uuid))
                yield _Daemon(of, self._claims / name / "pipe", devices)

    def close(self) -> None:
        """Nothing is open."""

    def _resources(self) -> Iterator[str]:
        """Resources with a daemon. Their names have a slash, `nvidia.com/gpu.shared`, and so a directory more."""
        try:
            vendors = [each for each in os.scandir(self._root) if each.is_dir(follow_symlinks=False)][:_MOST_ENTRIES]
            for vendor in vendors:
                names = [each for each in os.scandir(vendor.path) if each.is_dir(follow_symlinks=False)]
                for name in names[:_MOST_ENTRIES]:
                    if (Path(name.path) / "pipe").is_dir():
                        yield f"{vendor.name}/{name.name}"
        except FileNotFoundError:
            return
        except OSError as error:
            reason = Reason.PERMISSION if isinstance(error, PermissionError) else Reason.ERROR
            raise SourceError(f"{self._root}: {error.strerror or error}", reason) from error

    def _ask(self, pipe: Path, command: str, until: float) -> str:
        """Return what a daemon answers, empty when it refuses. Raises SourceError when it does not answer in time."""
        environment = {"CUDA_MPS_PIPE_DIRECTORY": str(pipe), "PATH": os.environ.get("PATH", os.defpath)}
        try:
            told = ask([self._binary], command.encode() + b"\n", environment, max(0.05, until - time.monotonic()))
        except TimeoutError as error:
            raise SourceError(f"MPS control daemon at {pipe}: no answer in time", Reason.TIMEOUT) from error
        except OSError as error:
            hint = "is it in this container? (NVIDIA_DRIVER_CAPABILITIES=utility,compute)"
            raise SourceError(f"{self._binary}: {error.strerror or error}; {hint}", Reason.NOT_CONFIGURED) from error
        return told.text if told.status == 0 else ""


def limit(threads: str, memory: str) -> Limit | Missing:
    """What two answers say. A percentage of 100 is no limit; a memory limit that is not told in mebibytes is unread."""
    percent, size = _PERCENT.fullmatch(threads), _MEBIBYTES.fullmatch(memory)
    if percent is None or float(percent[1]) > 100:  # noqa: PLR2004  # per cent
        return Missing(Reason.UNSUPPORTED)
    share = float(percent[1]) / 100
    return Limit(
        compute=None if share >= 1 else share,
        memory_bytes=None if size is None else float(int(size[1]) * _MIB),
        memory_read=size is not None,
    )
