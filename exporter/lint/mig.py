"""Lint rules about MIG profiles: whether the GPUs of the node can have the instances that manifests ask for."""

from __future__ import annotations

import re
from collections.abc import Iterator

from exporter.ids import profile_of_resource
from exporter.lint.model import Board, Found, Plan, Rule, Severity, counted
from exporter.lint.slots import asks
from exporter.policy import Policy

_PROFILE = re.compile(r"(?:[0-9]c\.)?([0-9])g\.([0-9]{1,4})gb.*")
_SLICES = re.compile(r"\b(A30|RTX PRO [4-6]000)\b")
_WITH_MIG = re.compile(r"\b(A30|A100|H100|H200|H20|H800|A800|GH200|B100|B200|B300|GB200|GB300|RTX PRO [4-6]000)\b")
_SMALL, _LARGE = 4, 7
_MIB = 1024**2


def mig_does_not_fit(plan: Plan, _: Policy) -> Iterator[Found]:
    """A MIG profile is asked for that no GPU of the node can have.

    Source: NVIDIA's MIG user guide, supported GPUs and profiles; 4 slices on A30 and RTX PRO, 7 on the others.
    """
    if not plan.boards:
        return
    for workload, container, resource, _count in asks(plan):
        profile = profile_of_resource(resource)
        if profile is not None and not any(_fits(profile, board) for board in plan.boards):
            boards = ", ".join(dict.fromkeys(board.model for board in plan.boards))
            yield Found(
                where=container.where,
                what=f"{workload.title}/{container.name} asks for {resource}",
                why=f"{_why_not(plan)}: {boards}",
                advice="`nvidia-smi mig -lgip` lists the profiles that a board has",
            )


def mig_above_node(plan: Plan, _: Policy) -> Iterator[Found]:
    """The MIG profiles that are asked for have more slices, or more memory, than the node's GPUs together.

    A lower bound: a layout within it may still not be placeable. Source: as mig-does-not-fit.
    """
    asked = [
        (workload.pods * count, profile, container)
        for workload, container, resource, count in asks(plan)
        if (profile := profile_of_resource(resource)) is not None and _PROFILE.fullmatch(profile)
    ]
    boards = [board for board in plan.boards if _has_mig(board)]
    if not asked or not boards:
        return
    slices = sum(number * _size(profile)[0] for number, profile, _ in asked)
    gigabytes = sum(number * _size(profile)[1] for number, profile, _ in asked)
    has_slices = sum(board.count * _board_slices(board) for board in boards)
    has_gigabytes = sum(board.count * board.memory_mib * _MIB / 1e9 for board in boards)
    if slices > has_slices or gigabytes > has_gigabytes:
        yield Found(
            where=asked[0][2].where,
            what=f"{counted(sum(n for n, _, _ in asked), 'MIG instance')} asked for on {counted(sum(b.count for b in boards), 'GPU')}",
            why=f"{slices} slices and {gigabytes} GB of {has_slices} slices and {has_gigabytes:.0f} GB",
            advice="fewer or smaller profiles, or describe more nodes with --gpu",
        )


def _size(profile: str) -> tuple[int, int]:
    found = _PROFILE.fullmatch(profile)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def _has_mig(board: Board) -> bool:
    return _WITH_MIG.search(board.model) is not None


def _board_slices(board: Board) -> int:
    return _SMALL if _SLICES.search(board.model) else _LARGE


def _fits(profile: str, board: Board) -> bool:
    slices, gigabytes = _size(profile)
    return _has_mig(board) and slices <= _board_slices(board) and gigabytes <= board.memory_mib * _MIB / 1e9


def _why_not(plan: Plan) -> str:
    return "larger than any GPU here" if any(_has_mig(board) for board in plan.boards) else "no GPU here has MIG"


RULES: tuple[Rule[Plan], ...] = (
    Rule("mig-does-not-fit", Severity.IMPOSSIBLE, mig_does_not_fit),
    Rule("mig-above-node", Severity.IMPOSSIBLE, mig_above_node),
)
