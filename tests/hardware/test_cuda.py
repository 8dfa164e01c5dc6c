"""The CUDA driver through ctypes, on a C library of its interface."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from ctypes import POINTER, c_char, c_char_p, c_int, c_size_t, c_ubyte, c_uint, c_uint64, c_void_p
from typing import Any

import pytest

from bench.hardware import kernels
from bench.hardware.cuda import SIGNATURES, Cuda, CudaError, shape, uuid_text
from tests.fake_cuda.board import UUID, FakeBoard
from tests.fake_cuda.build import SOURCES

C_TYPES: dict[str, tuple[Any, ...]] = {
    "unsigned": (c_uint,),
    "int": (c_int,),
    "size_t": (c_size_t,),
    "uint64_t": (c_uint64,),
    "void *": (c_void_p,),
    "int *": (POINTER(c_int),),
    "size_t *": (POINTER(c_size_t),),
    "uint64_t *": (POINTER(c_uint64),),
    "unsigned char *": (POINTER(c_ubyte),),
    "char *": (POINTER(c_char),),
    "const char *": (c_char_p,),
    "const char **": (POINTER(c_char_p),),
    "void **": (POINTER(c_void_p),),
}


@pytest.fixture
def cuda(cuda_here: FakeBoard) -> Iterator[Cuda]:
    """A context on the fake board."""
    assert cuda_here.read() == []
    made = Cuda(UUID)
    yield made
    made.close()


def test_every_function_is_declared_as_the_library_defines_it() -> None:
    found = dict(re.findall(r"^API int (\w+)\(([^)]*)\)", (SOURCES / "cuda.c").read_text(), re.MULTILINE))
    assert found.keys() == SIGNATURES.keys()
    for name, parameters in found.items():
        types = [re.sub(r"\w+$", "", part.strip()).strip() for part in parameters.split(",") if part.strip() != "void"]
        assert len(types) == len(SIGNATURES[name]), name
        for spelled, declared in zip(types, SIGNATURES[name], strict=True):
            assert declared in C_TYPES[spelled], (name, spelled, declared)


def test_a_device_is_found_by_the_uuid_that_nvml_gives_it(cuda: Cuda, cuda_here: FakeBoard) -> None:
    assert cuda.sm_count == 132
    assert cuda.version() == 13000
    assert [account.pid for account in cuda_here.read()] == [os.getpid()]
    with pytest.raises(CudaError, match=rf"CUDA does not offer GPU-0; it offers {UUID}"):
        Cuda("GPU-0")


@pytest.mark.parametrize(
    ("sms", "fill", "blocks_and_threads"), [(132, 1.0, (528, 512)), (132, 0.25, (33, 1024)), (1, 0.25, (1, 1024))]
)
def test_a_kernel_fills_the_sms_that_it_is_for(sms: int, fill: float, blocks_and_threads: tuple[int, int]) -> None:
    assert shape(sms, fill) == blocks_and_threads


def test_a_uuid_is_spelled_in_groups() -> None:
    assert uuid_text(bytes(range(16))) == "GPU-00010203-0405-0607-0809-0a0b0c0d0e0f"


def test_work_takes_its_time_and_is_on_the_account(cuda: Cuda, cuda_here: FakeBoard) -> None:
    began = time.monotonic()
    for _ in range(5):
        cuda.spin(10_000)  # 10 ms each on the fake
    cuda.synchronize()
    assert time.monotonic() - began >= 0.05
    (account,) = cuda_here.read()
    assert account.busy >= 50_000_000


def test_an_event_is_passed_when_what_is_before_it_is_done(cuda: Cuda, cuda_here: FakeBoard) -> None:
    stream, event = cuda.stream(), cuda.event()
    cuda.spin(5_000, stream)
    cuda.record(event, stream)
    cuda.spin(1_000_000_000, stream)  # a quarter of an hour behind it
    cuda.await_event(event)
    (account,) = cuda_here.read()
    assert 5_000_000 <= account.busy < 1_000_000_000


def test_memory_is_held_and_more_than_there_is_is_refused_by_name(cuda: Cuda, cuda_here: FakeBoard) -> None:
    free, total = cuda.free_and_total()
    assert total == cuda_here.memory
    cuda.allocate(free // 2)
    assert cuda.free_and_total()[0] == free - free // 2
    with pytest.raises(CudaError, match=r"cuMemAlloc_v2: CUDA_ERROR_OUT_OF_MEMORY \(2\)"):
        cuda.allocate(free)


def test_a_lonely_kernel_sees_no_jumps_of_the_clock(cuda: Cuda) -> None:
    looked, found = cuda.gaps(0.02, 50e-6, 64)
    assert looked >= 20_000_000
    assert found == ()


def test_no_device_is_an_error_with_a_name(cuda_here: FakeBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLICEWATCH_FAKE_CUDA")
    assert cuda_here.read() == []
    with pytest.raises(CudaError, match=r"cuInit: CUDA_ERROR_NO_DEVICE \(100\)"):
        Cuda(UUID)


# --- the kernels' text ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", kernels.forms(9, 0), ids=["oldest", "own"])
def test_a_kernel_uses_no_register_label_or_parameter_that_it_does_not_declare(text: str) -> None:
    assert text.isascii()
    entries = re.findall(r"\.visible \.entry (\w+)\((.*?)\)\n\{\n(.*?)\n\}", text, re.DOTALL)
    assert [name for name, _, _ in entries] == [kernels.SPIN, kernels.GAPS]
    for name, parameters, body in entries:
        declared = {kind: int(count) for kind, count in re.findall(r"\.reg \.\w+ %(\w+)<(\d+)>", body)}
        used = [(kind, int(number)) for kind, number in re.findall(r"%(p|r|rd)(\d+)\b(?!<)", body)]
        assert used
        assert all(number < declared[kind] for kind, number in used), name
        labels = re.findall(r"^(\w+):$", body, re.MULTILINE)
        assert len(labels) == len(set(labels))
        assert set(re.findall(r"bra(?:\.uni)? (\w+);", body)) <= set(labels)
        assert set(re.findall(r"\[(\w+_\w+)\]", body)) == set(re.findall(r"\.u64 (\w+)", parameters))


def test_a_driver_that_refuses_the_oldest_target_is_given_the_devices_own() -> None:
    oldest, own = kernels.forms(12, 0)
    assert ".target sm_70\n" in oldest
    assert ".target sm_120\n" in own
    assert oldest.split("\n", 2)[2] == own.split("\n", 2)[2]


def test_what_the_gap_kernel_wrote_is_read_back() -> None:
    words = (3, 1_000, 9_000, 10, 2, 50, 4, 0, 0)
    assert kernels.gaps_of(words[:7]) == (8_000, ((10, 2), (50, 4)))
    assert kernels.gaps_of((1, 0, 5, 7, 8, 0, 0)) == (5, ((7, 8),))
