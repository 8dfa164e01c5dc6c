"""A machine for the kit: a fake NVML and a fake CUDA driver with one board between them, compiled once."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fake_cuda import build as cuda
from tests.fake_cuda.board import CUDA_VARIABLE, FakeBoard
from tests.fake_nvml import build as nvml


@pytest.fixture(scope="session")
def drivers(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of both libraries."""
    folder = tmp_path_factory.mktemp("drivers")
    nvml.build(folder)
    cuda.build(folder)
    return folder


@pytest.fixture
def board(tmp_path: Path) -> Iterator[FakeBoard]:
    """A board that tells the fake NVML what is done through the fake CUDA."""
    with FakeBoard(tmp_path) as made:
        yield made


@pytest.fixture
def cuda_here(drivers: Path, board: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> FakeBoard:
    """The fake CUDA in this very process: found by its SONAME once it is loaded."""
    ctypes.CDLL(str(drivers / cuda.SONAME))
    monkeypatch.setenv(CUDA_VARIABLE, str(board.accounts))
    return board


@pytest.fixture
def variables(drivers: Path, board: FakeBoard) -> dict[str, str]:
    """What makes a process find these drivers and this board, and no other."""
    path = f"{drivers}{os.pathsep}{os.environ.get('LD_LIBRARY_PATH', '')}".rstrip(os.pathsep)
    return {**board.variables(), "LD_LIBRARY_PATH": path}
