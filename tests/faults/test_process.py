"""The program's own process under what only a process can suffer: floods, crowds, no descriptors left, kill -9."""

from __future__ import annotations

import contextlib
import http.client
import os
import random
import resource
import signal
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from bench.soak.sample import held
from tests.e2e.mirror import pod_object
from tests.e2e.node import L40S, TRAINER, driver, furnish, whole
from tests.e2e.rig import NODE, Exporter, Rig, until
from tests.e2e.scrape import Scrape, parse
from tests.fake_nvml.state import FakeMemory, FakeProcess
from tests.faults import measured
from tests.faults.rows import by_name
from tests.faults.size import either
from tests.faults.table import Part
from tests.nvml.nodes import MIB

SCRAPE = b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def exporter(rig: Rig) -> Iterator[Exporter]:
    """The exporter on a node in good order; at the end it leaves the driver as it should."""
    furnish(rig).kubelet.start()
    found = rig.start()
    found.until(whole, "a good page")
    yield found
    rig.stop()


def back(exporter: Exporter, part: Part, fault: str, since: float | None = None) -> Scrape:
    """Wait until the page is whole again, and note how long it took."""
    began = time.monotonic() if since is None else since
    page = exporter.until(whole, "all is as before")
    measured.note(by_name(part, fault), time.monotonic() - began, "s")
    return page


@contextlib.contextmanager
def little_growth(exporter: Exporter, most: float) -> Iterator[None]:
    """Fail when the exporter has grown by more than so many MiB at any time that is looked at."""
    before = held(exporter.process.pid).rss
    yield
    peak = _peak(exporter.process.pid)
    assert peak - before < most, f"from {before:.0f} to {peak:.0f} MiB"


def _peak(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM"))


def test_a_kubelet_that_answers_with_64_mebibytes_is_refused_in_bounded_memory(rig: Rig, exporter: Exporter):
    before = exporter.scrape()
    good, answer = rig.kubelet.listed, type(rig.kubelet.listed)()
    answer.CopyFrom(good)
    for number in range(64):
        entry = answer.pod_resources.add(namespace="team", name=f"big-{number}")
        entry.containers.add(name="x" * MIB)
    with little_growth(exporter, 48):
        rig.kubelet.listed = answer
        page = exporter.until(lambda page: page.down() == {"podresources"}, "the answer is refused")
        assert page.words("gpu_partition_info") == before.words("gpu_partition_info")
        # Where this machine cannot send 64 MiB within the deadline, that is what is said instead.
        assert "the answer is larger than 16 MiB" in exporter.log or "no answer within 3 s" in exporter.log
        rig.kubelet.listed = good
        back(exporter, Part.KUBELET, "an answer of 64 MiB")


def test_an_api_server_that_lists_a_hundred_thousand_pods_is_refused_in_bounded_memory(rig: Rig, exporter: Exporter):
    count = either(8_000, 100_000)
    flood = [_pod(number) for number in range(count)]
    good = rig.api.listed
    with little_growth(exporter, 48 + 400 * count / 100_000):
        rig.api.listed = lambda query: {**good(query), "items": flood}  # type: ignore[method-assign]  # as a proxy would
        rig.api.compact()
        rig.api.drop()
        refused = ("no end after", "of more than 32 MiB")
        until(lambda: any(said in exporter.log for said in refused), "the list is refused", within=either(40, 300))
        assert exporter.get("/-/healthy")[0] == HTTPStatus.OK
        assert whole(exporter.scrape())  # what was known holds
        rig.api.listed = good  # type: ignore[method-assign]
        rig.api.put(pod_object(TRAINER))
        watches = rig.api.opened
        began = time.monotonic()
        until(lambda: rig.api.opened > watches, "the pods are followed again", within=either(40, 120))
        row = by_name(Part.API_SERVER, "a list of 100,000 pods")
        measured.note(row, time.monotonic() - began, "s")


def _pod(number: int) -> dict[str, Any]:
    """A pod of another node, which the server should have left out."""
    return {
        "metadata": {"uid": f"flood-{number}", "name": f"flood-{number}", "namespace": "flood"},
        "spec": {"nodeName": NODE, "containers": [{"name": "main"}]},
        "status": {"phase": "Running"},
    }


def test_a_gpu_with_a_hundred_thousand_processes_adds_no_series_and_the_page_stays_up(rig: Rig, exporter: Exporter):
    before = exporter.scrape()
    crowd = tuple(
        FakeProcess(pid=1_000_000 + number, memory_bytes=MIB // 16) for number in range(either(3_000, 100_000))
    )
    used = FakeMemory(total=46068 * MIB, used=sum(each.memory_bytes or 0 for each in crowd), reserved=598 * MIB)
    rig.driver_becomes(driver().changed(L40S, processes=crowd, memory=used))
    page = exporter.until(
        lambda page: page.ticks > before.ticks + 3 and not whole(page), "the crowd is seen", within=55
    )
    assert exporter.get("/-/healthy")[0] == HTTPStatus.OK
    assert page.series <= before.series + 8  # blind reasons are born
    assert len(page.text) < len(before.text) * 1.2
    rig.driver_becomes(driver())
    back(exporter, Part.PROCFS, "100,000 processes on a GPU")


def test_scrapers_that_never_finish_asking_keep_nobody_waiting(exporter: Exporter):
    host, _, port = exporter.address.rpartition(":")
    with contextlib.ExitStack() as stack:
        for _ in range(either(400, 2000)):
            client = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            with contextlib.suppress(OSError):  # it had to make room
                client.sendall(SCRAPE[:7])
        for _ in range(5):
            began = time.monotonic()
            exporter.scrape()
            assert exporter.get("/-/healthy")[0] == HTTPStatus.OK
            assert time.monotonic() - began < 2.0
    back(exporter, Part.SCRAPERS, "thousands that never finish asking")


def test_a_thousand_scrapers_at_once_are_answered_or_turned_away_and_leave_no_thread_behind(exporter: Exporter):
    host, _, port = exporter.address.rpartition(":")
    threads = held(exporter.process.pid).threads
    statuses: dict[str, int] = {}
    with little_growth(exporter, 64), contextlib.ExitStack() as stack:
        crowd = [_asking(stack, host, int(port)) for _ in range(1000)]
        for client in crowd:
            status = _status(client)
            statuses[status] = statuses.get(status, 0) + 1
    assert statuses.get("200", 0) >= 40, statuses
    assert statuses.keys() <= {"200", "503", "hung up"}, statuses
    until(lambda: held(exporter.process.pid).threads <= threads + 2, "the threads have ended")
    back(exporter, Part.SCRAPERS, "1,000 at once")


def _asking(stack: contextlib.ExitStack, host: str, port: int) -> socket.socket:
    client = stack.enter_context(socket.create_connection((host, port), timeout=10))
    with contextlib.suppress(OSError):
        client.sendall(SCRAPE)
    return client


def _status(client: socket.socket) -> str:
    """The status of an answer that is then thrown away; an end without one is a connection that had to make room."""
    try:
        head = client.recv(4096)
    except ConnectionError:
        return "hung up"
    return head[9:12].decode() if head else "hung up"


def test_without_a_descriptor_left_a_kept_connection_is_served_and_the_rest_comes_back(exporter: Exporter):
    host, _, port = exporter.address.rpartition(":")
    kept = http.client.HTTPConnection(host, int(port), timeout=10)
    with contextlib.closing(kept), contextlib.ExitStack() as stack:
        assert whole(_asked(kept))
        pid = exporter.process.pid
        limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (held(pid).descriptors + 2, limits[1]))
        for _ in range(20):
            stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
        until(lambda: "Too many open files" in exporter.log, "there is none left")
        until(lambda: _asked(kept).down() == {"cgroup"}, "what opens files is down, and says so")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)
        back(exporter, Part.PROCESS, "no file descriptor left")


def _asked(connection: http.client.HTTPConnection) -> Scrape:
    connection.request("GET", "/metrics")
    with connection.getresponse() as response:
        assert response.status == HTTPStatus.OK
        return parse(response.read().decode())


def test_killed_at_any_moment_it_starts_again_at_zero_and_is_whole(rig: Rig):
    furnish(rig).kubelet.start()
    chance = random.Random(os.environ.get("KILL_SEED", "faults"))  # noqa: S311  # moments to kill at
    for _ in range(either(2, 20)):
        killed = rig.launch()
        with killed:
            time.sleep(chance.uniform(0.0, 2.5))  # the moment is the test's, and nothing is waited for
            assert killed.process.poll() is None, killed.log
            killed.process.send_signal(signal.SIGKILL)
            killed.process.wait(10)
    began = time.monotonic()
    exporter = rig.start()
    page = back(exporter, Part.PROCESS, "kill -9 at random moments", began)
    oldest = max(page.rows("gpu_partition_guarantee_seconds_total", *_ALL).values())
    assert oldest < 60.0
    rig.stop()


_ALL = ("device", "namespace", "pod", "container", "guarantee", "outcome")
