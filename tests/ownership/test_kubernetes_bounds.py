"""What answers at the API server's address may be anything: however much it sends, and however slowly, it is bounded."""

from __future__ import annotations

import gzip
import itertools
import json
import time
from pathlib import Path

import pytest
import urllib3

from exporter.errors import SourceError
from exporter.model import Reason
from exporter.sources import kubernetes_api
from exporter.sources.kubernetes import KubernetesPods
from exporter.sources.kubernetes_answer import split_lines, whole
from tests.fakes.apiserver import FakeApiServer, eventually
from tests.ownership.cluster import FAST, failure
from tests.slo.prometheus.bad_server import Reply, serving
from toolkit.errors import ConfigError

MIB = 1 << 20
ZIPPED = {"Content-Encoding": "gzip"}


def fetched(reply: Reply, *, seconds: float = 5.0) -> bytes:
    with serving(lambda _: reply) as server, urllib3.PoolManager() as pool:
        response = pool.request("GET", server.url, preload_content=False, retries=False, timeout=2.0)
        try:
            return whole("list pods", response, bound=MIB, seconds=seconds)
        finally:
            response.close()


def test_an_answer_up_to_the_bound_is_read_whole_packed_or_not() -> None:
    body = b"x" * MIB
    assert fetched(Reply(body=body)) == body
    assert fetched(Reply(body=gzip.compress(body), headers=ZIPPED)) == body


@pytest.mark.parametrize(
    "reply",
    [Reply(body=b"x" * (2 * MIB)), Reply(body=gzip.compress(b"\0" * (300 * MIB), 1), headers=ZIPPED)],
    ids=["large", "a bomb"],
)
def test_an_answer_above_the_bound_is_refused(reply: Reply) -> None:
    with pytest.raises(SourceError, match="list pods: an answer of more than 1 MiB"):
        fetched(reply)


def test_an_answer_that_drips_ends_at_its_deadline() -> None:
    started = time.monotonic()
    with pytest.raises(SourceError, match=r"did not end in 0\.3 s") as caught:
        fetched(Reply(body=b"x" * 1000, drip=0.05), seconds=0.3)
    assert caught.value.reason is Reason.TIMEOUT
    assert time.monotonic() - started < 5


def test_an_answer_of_many_brackets_is_no_document(tmp_path: Path) -> None:
    source = _asking(Reply(body=b"[" * 200_000), tmp_path)
    assert "the answer is no JSON" in source


def test_a_list_that_never_ends_is_given_up(tmp_path: Path) -> None:
    page = {"items": [], "metadata": {"continue": "more", "resourceVersion": "1"}}
    assert "no end after" in _asking(Reply(body=json.dumps(page).encode()), tmp_path)


def _asking(reply: Reply, folder: Path) -> str:
    """What the source says of a server that gives this reply to everything."""
    with serving(lambda _: reply) as server:
        api = FakeApiServer()
        api.port = int(server.url.rpartition(":")[2])
        source = KubernetesPods("node-1", kubeconfig=api.kubeconfig(folder / "kubeconfig"), timing=FAST)
        try:
            eventually(lambda: failure(source).reason is not Reason.NOT_YET)
            return str(failure(source))
        finally:
            source.close()


def test_an_event_that_never_ends_is_refused() -> None:
    endless = itertools.repeat(b"x" * MIB)
    with pytest.raises(SourceError, match="an event of more than 32 MiB"):
        list(split_lines("watch pods", endless))


def test_a_redirect_is_not_followed_with_our_token(tmp_path: Path) -> None:
    with serving(lambda _: Reply(body=b"{}")) as elsewhere:
        said = _asking(Reply(status=302, headers={"Location": f"{elsewhere.url}/stolen"}), tmp_path)
        assert "302" in said
        assert elsewhere.asked == []


def test_a_kubeconfig_has_a_size(tmp_path: Path) -> None:
    file = tmp_path / "kubeconfig"
    file.write_bytes(b"#" * (kubernetes_api._MAX_KUBECONFIG + 1))
    with pytest.raises(ConfigError, match="larger than 4 MiB; expected a kubeconfig"):
        KubernetesPods("node", kubeconfig=str(file), timing=FAST)
