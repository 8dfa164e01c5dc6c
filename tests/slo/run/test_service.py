"""The service as a process: it says at once what is wrong, and serves before it has evaluated anything."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from slo.embedded.targets import Places
from slo.run import settings
from tests.e2e.rig import ROOT, environment
from tests.server.certs import authority
from tests.slo.servers import free_port, get, until
from toolkit.errors import ConfigError

RUN = [sys.executable, "-m", "slicewatch", "slo", "run"]


def refused(*flags: str) -> tuple[int, str]:
    found = subprocess.run(
        [*RUN, *flags], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False, timeout=50
    )
    return found.returncode, found.stderr


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ([], "nothing to evaluate: expected --prometheus, --exporter or --exporters.file"),
        (["--prometheus=http://p", "--exporter=http://e"], "contradict each other"),
        (["--prometheus=p"], "expected a URL such as http://HOST:PORT"),
        (["--exporter=http://e", "--external-label=a"], "expected a label such as cluster=eu-1"),
        (["--exporter=http://e", "--external-label=a=1", "--external-label=a=2"], "names a 2 times"),
        (["--exporter=http://e", "--history.retention=1h"], "expected a duration from 1d to 400d"),
        (["--exporter=http://e", "--specs=/nowhere.yaml"], "/nowhere.yaml: cannot be read"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_line(flags: list[str], said: str):
    status, told = refused(*flags)
    assert status == 2
    assert said in told
    assert told.startswith("slicewatch slo run: ")
    assert told.count("\n") == 1


@pytest.mark.parametrize("kind", ["prometheus", "exporters", "alertmanager"])
def test_a_client_certificate_is_shown_to_each_kind_of_site(kind: str, tmp_path: Path):
    certificate, key = authority(tmp_path).sign("slicewatch", client=True)
    sites = ["--exporter=https://node:9945", "--alertmanager=https://am:9093"]
    if kind == "prometheus":
        sites[0] = "--prometheus=https://prometheus:9090"
    shown = [f"--{kind}.cert-file={certificate}", f"--{kind}.key-file={key}"]
    found = settings.parse([*sites, *shown])
    if kind == "exporters":
        assert isinstance(found.source, settings.FromExporters)
        assert found.source.access.cert_file == certificate
        assert Places(found.source.urls, None, found.source.access).targets()[0].site.tls is not None
    for wrong in (shown[1:], [shown[0], f"--{kind}.key-file={tmp_path / 'none'}"], [f"--{kind}.cert-file={key}"]):
        with pytest.raises(ConfigError):
            built([*sites, *wrong])


def built(flags: list[str]) -> None:
    """Settings, and the sites that are made of them only when they are asked."""
    source = settings.parse(flags).source
    if isinstance(source, settings.FromExporters):
        Places(source.urls, None, source.access).targets()


def test_options_are_keys_of_a_file_too(tmp_path: Path):
    file = tmp_path / "run.yaml"
    file.write_text("exporter: [http://a, http://b]\nalertmanger: http://c\n")
    status, told = refused(f"--config.file={file}")
    assert status == 2
    assert told == f'slicewatch slo run: {file}:2:1: unknown key "alertmanger", did you mean "alertmanager"?\n'


def test_it_serves_before_it_has_evaluated_and_ends_at_a_signal(tmp_path: Path):
    port = free_port()
    flags = [
        "--exporter=http://127.0.0.1:9",
        f"--history.path={tmp_path / 'h'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*RUN, *flags], cwd=ROOT, env=environment(), stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{port}"

        def serves() -> bool:
            try:
                return b"slicewatch_slo_build_info" in get(f"{url}/metrics", timeout=3)
            except OSError:
                return False

        until(serves, "it serves")
        assert b"No evaluation yet." in get(f"{url}/") or b"evaluated" in get(f"{url}/")
        assert json.loads(get(f"{url}/snapshot"))["firing"] == []
        assert b'gpu_slo_objective_ratio{objective="enforced",slo="compute"} 0.99' in get(f"{url}/metrics")
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)
    assert "Traceback" not in (tmp_path / "log").read_text()
