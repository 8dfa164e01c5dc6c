"""Tenants that come and go by the hundred, and a GPU that is cut anew all the time: what is on the page stays bounded.

On the node's fast clock: a minute takes some seconds. `python -m bench.soak` does it for an hour on a real one.
"""

from __future__ import annotations

import gc
import random
import re
import sys
from collections.abc import Callable
from pathlib import Path

from bench.soak.node import LONGEST, Churn
from exporter.leases import Lease
from exporter.model import Partition
from exporter.sources.procfs import Procfs
from tests.e2e.rig import Rig
from tests.fakes.procfs import FakeProcfs
from tests.faults import measured
from tests.faults.node import Node
from tests.faults.rows import by_name
from tests.faults.size import either
from tests.faults.table import Part

KEEP = either(15, 60)
"""Seconds of --departed.keep; its default is 60."""

PODS = 500
"""Pods a minute."""

_INFO = re.compile(rb"^gpu_partition_info\{", re.MULTILINE)
_ACCOUNT = re.compile(
    rb'^gpu_partition_guarantee_seconds_total\{(.*),guarantee="isolation",outcome="kept"\}', re.MULTILINE
)


def test_five_hundred_pods_a_minute_and_mig_cut_anew_leave_no_more_than_those_of_the_last_minute(
    rig: Rig, made: Callable[[float], Node]
):
    node = made(KEEP)
    churn = Churn(rig, random.Random(7))  # noqa: S311  # a node's life
    churn.reshape()
    owed, most = 0.0, 0
    for second in range(3 * KEEP):
        owed += PODS / 60
        churn.deaths(second)
        churn.births(int(owed), second)
        owed -= int(owed)
        if second % KEEP == 0:
            churn.reshape()
        churn.show()
        page = node.advance()
        live, accounts = len(_INFO.findall(page)), len(_ACCOUNT.findall(page))
        most = max(most, accounts)
        # Those that hold something now, and those of the last minute and a kubelet's poll.
        assert live <= PODS / 60 * (LONGEST + 10)
        assert accounts <= live + PODS / 60 * (KEEP + 10)
        if second % 5 == 0:
            node.books.read(page)
    assert most > PODS / 60 * KEEP / 4, "the churn was not seen"
    churn.deaths(float("inf"))
    churn.show()
    passed = 0
    while _ACCOUNT.search(node.advance()):
        passed += 1
        assert passed < KEEP + 20
    assert node.books.faults == []
    gc.collect()
    left = [
        each for each in gc.get_objects() if isinstance(each, (Lease, Partition)) and each.key.pod.startswith("job-")
    ]
    assert left == []
    measured.note(by_name(Part.CHURN, "500 pods a minute, MIG cut anew"), passed, "ticks")


LISTED: list[str] = []
"""Directories that somebody listed while `WATCHING` was not empty; an audit hook cannot be taken away again."""
WATCHING: list[bool] = []


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if WATCHING and event in {"os.listdir", "os.scandir", "glob.glob"}:
        LISTED.append(f"{event} {arguments}")


def test_processes_that_are_on_no_gpu_are_never_looked_at_however_many_there_are(tmp_path: Path):
    procfs = FakeProcfs(tmp_path / "proc")
    for pid in range(2, either(200, 5000)):
        procfs.put(pid, "bomb", "/user.slice")
    procfs.put_in_pod(1, "python", "0b3dbf5e-2c5e-4d6b-9a8f-5f1c2d3e4a5b")
    source = Procfs(str(tmp_path / "proc"))
    sys.addaudithook(_hook)
    WATCHING.append(True)
    try:
        found = source.read([1])
    finally:
        WATCHING.clear()
    assert found.keys() == {1}
    assert LISTED == []
