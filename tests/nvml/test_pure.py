"""The rules that need no driver: names, units, translations, and what may be sampled."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from exporter.model import DeviceUuid, Gpu, GpuUuid, MigInstance, Missing, Reason, Throttle
from exporter.sources.nvml.board import Board
from exporter.sources.nvml.calls import Spot, missing_for
from exporter.sources.nvml.gpm import Activity, answered, targets
from exporter.sources.nvml.instances import profile_of_name
from exporter.sources.nvml.profiles import cores_per_sm, profile_name
from exporter.sources.nvml.readings import throttle_of
from tests.nvml.nodes import H100, mig_uuid

MIB = 1 << 20
ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("board_mib", "index", "slices", "mib", "name"),
    [
        (81559, 0, 1, 9984, "1g.10gb"),
        (81559, 7, 1, 9984, "1g.10gb+me"),
        (81559, 9, 1, 20096, "1g.20gb"),
        (81559, 1, 2, 20096, "2g.20gb"),
        (81559, 2, 3, 40448, "3g.40gb"),
        (81559, 4, 7, 81152, "7g.80gb"),
        (143771, 0, 1, 16384, "1g.18gb"),
        (143771, 1, 2, 33280, "2g.35gb"),
        (143771, 2, 3, 71424, "3g.71gb"),  # 70.5 rounds up
        (40960, 0, 1, 4864, "1g.5gb"),
        (40960, 3, 4, 19968, "4g.20gb"),
        (97887, 0xA, 1, 23680, "1g.24gb+gfx"),
        (97887, 0xD, 1, 23680, "1g.24gb-me"),
        (97887, 0x10, 2, 48512, "2g.48gb+me.all"),
    ],
)
def test_a_profile_without_a_name_is_named_as_the_driver_names_it(
    board_mib: int, index: int, slices: int, mib: int, name: str
) -> None:
    assert profile_name(index, slices, mib * MIB, float(board_mib * MIB)) == name


@pytest.mark.parametrize(
    ("handle_name", "profile"),
    [
        ("NVIDIA H100 80GB HBM3 MIG 1g.10gb+me", "1g.10gb+me"),
        ("NVIDIA H200 MIG 1c.3g.71gb", "1c.3g.71gb"),
        ("MIG 1g.5gb", "1g.5gb"),
        ("NVIDIA H100 80GB HBM3", ""),
        ("", ""),
    ],
)
def test_the_attached_profile_stands_behind_the_board_in_the_handle_s_name(handle_name: str, profile: str) -> None:
    assert profile_of_name(handle_name) == profile


@pytest.mark.parametrize(
    ("capability", "cores"),
    [((7, 0), 64), ((7, 5), 64), ((8, 0), 64), ((8, 6), 128), ((8, 9), 128), ((9, 0), 128), ((12, 0), 128)],
)
def test_an_sm_has_the_cores_of_its_generation(capability: tuple[int, int], cores: int) -> None:
    assert cores_per_sm(*capability) == cores


def test_the_cores_of_an_unheard_of_generation_are_not_guessed() -> None:
    assert cores_per_sm(99, 0) is None


def test_idle_is_no_throttle_and_every_other_bit_has_its_word() -> None:
    assert throttle_of(0x1) == frozenset()
    assert throttle_of(0x1FF) == frozenset(Throttle)
    assert throttle_of(0x44) == {Throttle.SW_POWER_CAP, Throttle.HW_THERMAL}
    assert throttle_of(0x600) == frozenset()


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (2, Reason.UNSUPPORTED),
        (3, Reason.UNSUPPORTED),
        (4, Reason.PERMISSION),
        (10, Reason.TIMEOUT),
        (13, Reason.UNSUPPORTED),
        (15, Reason.DEVICE_LOST),
        (16, Reason.DEVICE_LOST),
        (25, Reason.UNSUPPORTED),
        (26, Reason.UNSUPPORTED),
        (999, Reason.ERROR),
        (12345, Reason.ERROR),
    ],
)
def test_every_return_code_has_its_reason(code: int, reason: Reason) -> None:
    assert missing_for(code) == Missing(reason)


UNSUPPORTED, NOT_YET, ERROR = Missing(Reason.UNSUPPORTED), Missing(Reason.NOT_YET), Missing(Reason.ERROR)


@pytest.mark.parametrize(
    ("devices", "word"),
    [
        ([], UNSUPPORTED),
        ([Activity.all(UNSUPPORTED)], UNSUPPORTED),
        ([Activity.all(UNSUPPORTED), Activity.all(NOT_YET)], NOT_YET),
        ([Activity.all(NOT_YET), Activity.all(ERROR)], False),
        ([Activity.all(ERROR), Activity(UNSUPPORTED, 0.0, UNSUPPORTED, UNSUPPORTED)], True),
    ],
)
def test_gpm_is_up_when_it_told_anything_of_any_device(devices: list[Activity], word: bool | Missing) -> None:  # noqa: FBT001  # the expected value
    assert answered(devices) == word


def _board(*members: MigInstance, mig: bool) -> Board:
    gpu = Gpu(
        uuid=GpuUuid(H100),
        index=0,
        minor=0,
        model="NVIDIA H100 80GB HBM3",
        architecture="hopper",
        sm_count=132.0,
        mig_current=mig,
        mig_pending=mig,
        instances=members,
    )
    spots = tuple((Spot(gpu.uuid, member.uuid, object()), member) for member in members)
    return Board(gpu, Spot(gpu.uuid, DeviceUuid(gpu.uuid), object()), spots)


def _instance(number: int, gi: int, ci: int = 0) -> MigInstance:
    return MigInstance(
        uuid=DeviceUuid(mig_uuid(number)),
        index=number,
        gpu_instance=gi,
        compute_instance=ci,
        profile="1g.10gb",
        sm_count=16.0,
        memory_bytes=1.0,
    )


def test_a_whole_gpu_is_sampled_as_such_and_a_cut_one_by_its_instances() -> None:
    assert [(item.gpu_instance, item.device) for item in targets(_board(mig=False))] == [(None, H100)]
    assert list(targets(_board(mig=True))) == []
    cut = _board(_instance(1, gi=9), _instance(2, gi=10), mig=True)
    assert [(item.gpu_instance, item.device) for item in targets(cut)] == [(9, mig_uuid(1)), (10, mig_uuid(2))]


def test_a_gpu_instance_that_two_compute_instances_share_has_no_activity_to_give_either() -> None:
    shared = _board(_instance(1, gi=2, ci=0), _instance(2, gi=2, ci=1), _instance(3, gi=5), mig=True)
    assert [item.device for item in targets(shared)] == [mig_uuid(3)]


def test_neither_importing_nor_constructing_the_source_touches_pynvml() -> None:
    program = (
        "import sys\n"
        "from exporter.sources.nvml import NvmlDriver\n"
        "NvmlDriver().close()\n"
        "sys.exit('pynvml' in sys.modules)\n"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=30, cwd=ROOT).returncode == 0
