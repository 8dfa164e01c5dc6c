"""Device memory: who was given how much. used + free + reserved is the total, always."""

from __future__ import annotations


class Memory:
    """The memory of a whole GPU or a GPU instance, in bytes. `base` is in use before any process."""

    def __init__(self, total: int, reserved: int = 0, base: int = 0) -> None:
        self.total = total
        self.reserved = reserved
        self._base = base
        self._given: dict[int, int] = {}

    @property
    def used(self) -> int:
        """What processes and the base hold; never more than the total less the reserve."""
        return self._base + sum(self._given.values())

    @property
    def free(self) -> int:
        """What is left for anyone to ask for."""
        return self.total - self.reserved - self.used

    def of(self, pid: int) -> int:
        """Return what a process holds."""
        return self._given.get(pid, 0)

    def ask(self, pid: int, size: int, limit: int | None = None) -> int:
        """Set what a process holds, as far as there is room and its limit allows; return what it got."""
        room = self.free + self.of(pid)
        given = min(size, room) if limit is None else min(size, room, limit)
        self._given[pid] = given
        return given

    def release(self, pid: int) -> None:
        """Take everything back from a process that is gone."""
        self._given.pop(pid, None)
