"""The images: the Dockerfile is in order, and its steps make an exporter that runs without what it leaves out.

The steps are run here in a folder, with this machine's Python. `make image` builds the images themselves, with buildah.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.deploy.dockerfile import DOCKERFILE, ROOT, instructions, play
from tests.fakes.apiserver import FakeApiServer
from tests.ownership.cluster import NODE, pod_object
from tools import image

STEPS = tuple(instructions(DOCKERFILE.read_text()))
HADOLINT = str(Path(sys.executable).with_name("hadolint"))


def linted(text: str) -> str:
    """What hadolint says of a Dockerfile."""
    run = subprocess.run(
        [HADOLINT, "--no-color", "-"], input=text, capture_output=True, text=True, check=False, timeout=30
    )
    return run.stdout


def test_hadolint_finds_no_fault_and_would_find_one():
    text = DOCKERFILE.read_text()
    assert linted(text) == ""
    assert "DL3013" in linted(f"{text}\nRUN pip install requests\n")
    assert "DL3008" in linted(text.replace("# hadolint ignore=DL3008\n", ""))


def test_the_base_is_pinned_and_both_images_run_as_nobody():
    (base,) = [each.rest for each in STEPS if (each.stage, each.word) == ("", "ARG")]
    assert re.fullmatch(r"BASE=docker\.io/library/debian:[a-z]+-slim", base)
    stages = [each.rest for each in STEPS if each.word == "FROM"]
    assert stages[0] == "${BASE} AS python"
    assert [stage for stage in stages if stage.startswith("runtime ")] == ["runtime AS slo", "runtime AS exporter"]
    assert stages[-1] == "runtime AS exporter"  # what a build without a target makes
    users = [(each.stage, each.rest) for each in STEPS if each.word == "USER"]
    assert users == [("runtime", "65532:65532")]
    made = {(each.stage, each.word) for each in STEPS if each.stage in {"exporter", "slo", "runtime"}}
    assert not [stage for stage, word in made if word == "RUN"]  # what installs stays in the stages before


def test_the_label_has_the_version_of_the_program():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    (labels,) = [each.rest for each in STEPS if each.word == "LABEL"]
    assert f'image.version="{version}"' in labels


def test_what_builds_the_images_knows_their_base_and_their_targets():
    name, release = image.base()
    assert f"BASE={name}" in {each.rest for each in STEPS if each.word == "ARG"}
    assert name.endswith(f":{release}-slim")
    assert set(image.CHECKS) == {each.rest.split()[-1] for each in STEPS if each.rest.startswith("runtime AS")}


def test_the_build_gets_what_it_copies_and_nothing_else():
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    copied = {
        source
        for each in STEPS
        if each.word == "COPY" and not each.rest.startswith("--from")
        for source in each.rest.split()[:-1]
    }
    assert rules[0] == "*"
    assert {line[1:] for line in rules if line.startswith("!")} == copied
    assert {line for line in rules[1:] if not line.startswith("!")} == {"**/__pycache__"}


def run(root: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a program of the image in an empty environment and an empty folder."""
    (root / "empty").mkdir(exist_ok=True)
    program = str(root / "opt" / "slicewatch" / "bin" / command[0])
    environment = {"NODE_NAME": NODE, "PYTHONWARNINGS": "error"}
    return subprocess.run(
        [program, *command[1:]],
        cwd=root / "empty",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.timeout(300)
def test_the_steps_make_an_exporter_that_works_without_what_they_leave_out(tmp_path: Path):
    root = play(["build", "exporter-files"], tmp_path / "root")  # some 15 s of CPU: once
    the_exporter_runs_alone(root)
    what_is_left_of_the_client_talks_to_an_api_server(root)


def the_exporter_runs_alone(root: Path):
    page = run(root, "slicewatch", "exporter", "--once", "--source=simulator")
    assert (page.returncode, page.stderr) == (0, "")
    assert "gpu_partition_guarantee_seconds_total" in page.stdout
    for module in ("polars", "numpy", "pip", "matplotlib"):
        assert "ModuleNotFoundError" in run(root, "python3", "-c", f"import {module}").stderr
    refused = run(root, "slicewatch", "slo", "check", "--prometheus=http://127.0.0.1:1")
    assert (refused.returncode, "slicewatch[slo]" in refused.stderr) == (2, True)


WATCH = """
import sys, time
from exporter.errors import SourceError
from exporter.sources.kubernetes import KubernetesPods
source = KubernetesPods(sys.argv[1], kubeconfig=sys.argv[2])
until = time.monotonic() + 20
while time.monotonic() < until:
    try:
        pods = source.read(time.monotonic())
    except SourceError as error:
        print(error, file=sys.stderr)
    else:
        if isinstance(pods.node_labels, dict):
            print([pod.uid for pod in pods.items], pods.node_labels)
            break
    time.sleep(0.05)
source.close()
"""


def what_is_left_of_the_client_talks_to_an_api_server(root: Path):
    (client,) = (root / "opt" / "slicewatch" / "lib").glob("python3.*/site-packages/kubernetes")
    size = sum(path.stat().st_size for path in client.rglob("*") if path.is_file())
    assert size < 4_000_000  # of 118 MB
    with FakeApiServer() as api:
        api.token = "a token"  # noqa: S105  # of the test
        api.put(pod_object("a"))
        api.put_node(NODE, {"zone": "b"})
        seen = run(root, "python3", "-c", WATCH, NODE, api.kubeconfig(root / "config", api.token))
    assert seen.stdout == "['a'] {'zone': 'b'}\n", seen.stderr
