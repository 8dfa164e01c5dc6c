"""The tolerances and lists that judging depends on; the defaults are those of the contract."""

from __future__ import annotations

from dataclasses import dataclass

FATAL_XIDS = frozenset({48, 62, 64, 74, 79, 95, 119, 120, 140, 143})
"""XIDs after which work on the device cannot go on (docs/design.md section 5, fine print)."""

ALLOWED_COMMANDS = frozenset(
    {
        "nvidia-cuda-mps-server",
        "nvidia-cuda-mps-control",
        "nv-hostengine",
        "nvidia-persistenced",
        "dcgm-exporter",
        "Xorg",
    }
)
SYSTEM_NAMESPACES = frozenset({"kube-system", "gpu-operator", "nvidia-gpu-operator", "nvidia-device-plugin"})

_COMM_LENGTH = 15
"""The kernel cuts `comm` to 15 bytes (TASK_COMM_LEN), so `nvidia-cuda-mps-server` reads `nvidia-cuda-mps`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What is tolerated, and who may run on a device without holding it."""

    memory_tolerance: float = 0.02
    xid_seconds: float = 60.0
    hold_joins: int = 2
    time_slicing_memory_fair: bool = False
    allowed_commands: frozenset[str] = ALLOWED_COMMANDS
    system_namespaces: frozenset[str] = SYSTEM_NAMESPACES

    def allows(self, command: str, namespace: str | None) -> bool:
        """Whether a process of this name may run on any device; `namespace` is None outside pods.

        A tenant's process that merely bears the name is not allowed by it: only host processes and pods of system
        namespaces are.
        """
        if namespace is not None and namespace not in self.system_namespaces:
            return False
        return any(command in {name, name[:_COMM_LENGTH]} for name in self.allowed_commands)
