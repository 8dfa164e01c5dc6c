"""Pages of dcgm-exporter, line by line."""

from __future__ import annotations

GPU = "GPU-2d831caa-154a-a750-d2c2-0ae3124409df"
OTHER = "GPU-dd032b22-d0c2-c0a8-f1ad-b05d24b721c9"


def row(
    field: str, value: object, *, gpu: str = GPU, gi: int | None = None, profile: str = "2g.20gb", **more: str
) -> str:
    """One line; `more` are labels behind the identity."""
    pairs = {"gpu": "0", "UUID": gpu, "modelName": "NVIDIA A100-SXM4-80GB"}
    if gi is not None:
        pairs |= {"GPU_I_PROFILE": profile, "GPU_I_ID": str(gi)}
    labels = ",".join(f'{name}="{text}"' for name, text in (pairs | more).items())
    return f"DCGM_FI_{field}{{{labels}}} {value}"


def page(*lines: str) -> str:
    """A page of lines."""
    return "".join(f"{line}\n" for line in lines)
