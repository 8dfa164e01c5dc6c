"""The device-id grammar: one row a spelling, and nothing that makes it fall over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from exporter.ids import (
    DeviceId,
    GpuId,
    MigId,
    MigPathId,
    MinorId,
    SplitId,
    UnknownId,
    is_gpu_resource,
    parse,
    profile_of_resource,
)

U = "8675787c-4168-3ba3-b2b4-aa41ebc1d959"

ROWS: list[tuple[str, DeviceId]] = [
    (f"GPU-{U}", GpuId(f"GPU-{U}")),
    (f"GPU-{U}::0", GpuId(f"GPU-{U}", 0)),
    (f"GPU-{U}::12", GpuId(f"GPU-{U}", 12)),
    (f"gpu-{U.upper()}", GpuId(f"GPU-{U}")),
    (f"MIG-{U}", MigId(f"MIG-{U}")),
    (f"MIG-{U}::3", MigId(f"MIG-{U}", 3)),
    (f"MIG-GPU-{U}/7/0", MigPathId(f"GPU-{U}", 7, 0)),
    (f"MIG-GPU-{U}/13/2::1", MigPathId(f"GPU-{U}", 13, 2, 1)),
    ("nvidia0", MinorId(0)),
    ("nvidia3/gi5", MinorId(3, 5)),
    ("nvidia1/vgpu2", MinorId(1, None, 2)),
    ("nvidia0/gi0/vgpu1", MinorId(0, 0, 1)),
    (f"GPU-{U}-4", SplitId(f"GPU-{U}", 4)),
]

STRANGERS = [
    f"M\u0130G-{U}",
    f"M\u0131G-{U}",
    "",
    "all",
    "GPU-",
    "GPU-0",
    f"GPU-{U}::",
    f"GPU-{U}::x",
    f"GPU-{U}::-1",
    f"GPU-{U}::1::2",
    f"GPU-{U}::{'9' * 400}",
    f"GPU-{U}\n",
    f" GPU-{U}",
    f"MIG-GPU-{U}/7",
    f"MIG-GPU-{U}/7/",
    f"MIG-GPU-{U}/{'1' * 5000}/0",
    "nvidia",
    "nvidia0/vgpu",
    "nvidia0::1",
    "nvidia٣",
    "0000:19:00.0",
    "amdgpu_xcp_30",
]


@pytest.mark.parametrize(("text", "expected"), ROWS, ids=[text for text, _ in ROWS])
def test_a_known_spelling_is_parsed_into_its_type(text: str, expected: DeviceId) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize("text", STRANGERS)
def test_an_unknown_spelling_is_kept_and_not_guessed(text: str) -> None:
    assert parse(text) == UnknownId(text)


@given(st.text() | st.from_regex(r"(GPU|MIG|nvidia)[-:/0-9a-fA-F]{0,60}"))
def test_no_text_makes_the_grammar_fall_over(text: str) -> None:
    found = parse(text)
    assert not isinstance(found, UnknownId) or found.text == text


@pytest.mark.parametrize(
    ("resource", "profile"),
    [
        ("nvidia.com/mig-1g.10gb", "1g.10gb"),
        ("nvidia.com/mig-1g.10gb.me", "1g.10gb+me"),
        ("nvidia.com/mig-1g.24gb.me.all", "1g.24gb+me.all"),
        ("nvidia.com/mig-2g.48gb.gfx", "2g.48gb+gfx"),
        ("nvidia.com/mig-1g.24gb-me", "1g.24gb-me"),
        ("nvidia.com/mig-1g.10gb.shared", "1g.10gb"),
        ("nvidia.com/mig-1g.10gb.me.shared", "1g.10gb+me"),
        ("nvidia.com/gpu", None),
        ("nvidia.com/gpu.shared", None),
    ],
)
def test_a_resource_name_of_strategy_mixed_names_its_profile(resource: str, profile: str | None) -> None:
    assert profile_of_resource(resource) == profile


@pytest.mark.parametrize(
    ("resource", "ours"),
    [
        ("nvidia.com/gpu", True),
        ("nvidia.com/gpu.shared", True),
        ("nvidia.com/mig-1g.10gb", True),
        ("nvidia.com/gpumem", False),
        ("nvidia.com/hostdev", False),
        ("amd.com/gpu", False),
        ("cpu", False),
    ],
)
def test_gpus_are_told_from_other_resources(resource: str, *, ours: bool) -> None:
    assert is_gpu_resource(resource) is ours
