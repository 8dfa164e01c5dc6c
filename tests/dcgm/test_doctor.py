"""What `slicewatch doctor` says of dcgm-exporter: what it gives here, and what its operator could add."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace

import pytest

from exporter.app import run
from exporter.doctor.dcgm import dcgm
from exporter.model import DeviceUse, Missing, Reason, Snapshot
from tests.fakes.port import http, port_server
from tests.scenarios.stage import played

UNSUPPORTED, AMBIGUOUS = Missing(Reason.UNSUPPORTED), Missing(Reason.AMBIGUOUS)


def doctor(*argv: str) -> tuple[int, str]:
    out = io.StringIO()
    status = run(["doctor", *argv, "--tick", "100ms"], {}, out, io.StringIO())
    return status, " ".join(out.getvalue().split())


def simulated(name: str) -> tuple[int, str]:
    return doctor("--source", "simulator", "--simulator.scenario", name)


def changed(change: Callable[[DeviceUse], DeviceUse]) -> str:
    """What is said of the scenario with its readings changed where the page gave some."""
    snapshot: Snapshot = played("mig-a100-dcgm", 20).result.snapshot
    devices = tuple(
        each if each.use.sampled is None else replace(each, use=change(each.use)) for each in snapshot.devices
    )
    return "\n".join(dcgm(replace(snapshot, devices=devices)))


def test_the_doctor_says_what_dcgm_exporter_gives_here():
    status, words = simulated("mig-a100-dcgm")
    assert status == 0
    assert "dcgm ok activity that the driver does not tell" in words
    assert "activity of 5 of 7 devices: 5 engine, 5 SM, 5 tensor, 5 memory bandwidth; means over up to 30 s" in words
    assert "2 with low confidence" in words
    assert "to dcgm-exporter's CSV" not in words


def test_the_doctor_says_where_dcgm_exporter_would_help():
    words = simulated("mig-single-a100")[1]
    assert (
        "dcgm off --dcgm.url names no page of a dcgm-exporter on this node; without it MIG instances before Hopper"
        in words
    )
    assert "before Hopper, dcgm-exporter sees it (--dcgm.url)" in words


def test_the_doctor_says_why_dcgm_exporter_is_down():
    with port_server(http(b"", "500 Internal Server Error")) as port:
        url = f"http://127.0.0.1:{port.port}/metrics"
        flags = ("--kubernetes", "off", "--podresources.socket", "", "--dcgm.url", url, "--tick", "100ms")
        # A process of its own: this one may have loaded the fake driver for another test.
        run_ = subprocess.run(
            [sys.executable, "-m", "slicewatch", "doctor", *flags],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    words = " ".join(run_.stdout.split())
    assert run_.returncode == 3
    assert f"dcgm down {url}: HTTP 500; without it MIG instances before Hopper have no activity" in words


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            lambda use: replace(use, sm_active=UNSUPPORTED),
            "not on its page for 5: add DCGM_FI_PROF_SM_ACTIVE to dcgm-exporter's CSV; without it what is used",
        ),
        (lambda use: replace(use, engine_active=UNSUPPORTED), "add DCGM_FI_PROF_GR_ENGINE_ACTIVE"),
        (
            lambda use: replace(use, engine_active=AMBIGUOUS, sampled=None),
            "5 devices: the instances on its page are not",
        ),
    ],
)
def test_the_doctor_says_what_an_operator_should_do(change: Callable[[DeviceUse], DeviceUse], said: str):
    assert said in changed(change)


def test_nothing_is_said_of_a_node_that_has_no_page():
    assert list(dcgm(played("mig-mixed", 3).result.snapshot)) == []


def test_the_doctor_says_where_dcgm_exporters_pods_are_not_the_kubelets():
    snapshot = played("mig-a100-dcgm", 3).result.snapshot
    wrong = replace(snapshot, misnamed={snapshot.devices[0].uuid: 1})
    assert "on 1 devices it names pods that by the kubelet do not hold them" in "\n".join(dcgm(wrong))
