"""Names that follow from the seed alone: UUIDs and container ids that no clock, no OS and no hash seed can change."""

from __future__ import annotations

from hashlib import blake2b


def uuid(seed: int, *words: str) -> str:
    """Return 32 lower-case hex digits in the form of a UUID, the same for the same words."""
    digits = _digest(16, seed, words)
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def container_id(seed: int, *words: str) -> str:
    """Return 64 lower-case hex digits, as a container runtime names a container."""
    return _digest(32, seed, words)


def _digest(size: int, seed: int, words: tuple[str, ...]) -> str:
    return blake2b("\0".join((str(seed), *words)).encode(), digest_size=size).hexdigest()
