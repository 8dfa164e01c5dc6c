"""Routes as Alertmanager has them: the same receivers as amtool's; and what lint says of alerts that nobody hears of."""

from __future__ import annotations

import contextlib
import io
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo import routes, specfile, validate
from slo.lint import findings
from slo.routes import Route
from slo.rules import routing as generated
from slo.rules.routing import Receivers
from slo.spec import Matcher, Op, PartitionSLO
from tests.slo.servers import program
from toolkit.errors import ConfigError

CONFIG = """\
global: {resolve_timeout: 5m}
route:
  receiver: everybody
  routes:
    - matchers: ['alertname="GPUSLOWatchdog"']
      receiver: watchdog
    - matchers: ['severity=~"page|critical"', 'team != "none"']
      receiver: pager
      continue: true
      routes:
        - match: {slo: memory}
          receiver: memory
        - match_re: {slo: 'comp.*'}
          matchers: [objective=enforced, "{namespace!='x', guarantee=\\"compute\\"}"]
    - matchers: [severity=page]
      receiver: archive
    - matchers: [severity = ticket, 'namespace=~"team-.*"']
      receiver: nobody
receivers:
  - {name: everybody, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}
  - {name: watchdog, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}
  - {name: pager, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}
  - {name: memory, webhook_configs: [{url: 'http://127.0.0.1:1/'}]}
  - {name: archive, webhook_configs: []}
  - name: nobody
""".replace("namespace!='x', ", "")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "alertmanager.yml"
    path.write_text(CONFIG)
    return path


@pytest.mark.real
@pytest.mark.parametrize(
    "labels",
    [
        {},
        {"alertname": "GPUSLOWatchdog"},
        {"alertname": "GPUSLOWatchdog", "severity": "page"},
        {"severity": "page"},
        {"severity": "page", "slo": "memory"},
        {"severity": "page", "slo": "compute", "objective": "enforced", "guarantee": "compute"},
        {"severity": "page", "slo": "compute", "objective": "shared"},
        {"severity": "page", "team": "none"},
        {"severity": "critical"},
        {"severity": "pages"},
        {"severity": "ticket"},
        {"severity": "ticket", "namespace": "team-a"},
        {"severity": "ticket", "namespace": "a-team-a"},
    ],
)
def test_receivers_are_those_of_amtool(file: Path, labels: dict[str, str]):
    command = [program("amtool"), "config", "routes", "test", f"--config.file={file}"]
    said = subprocess.run(
        [*command, *(f"{key}={text}" for key, text in labels.items())], capture_output=True, text=True, check=True
    )
    assert ",".join(one.receiver for one in routes.load(file).root.receivers(labels)) == said.stdout.strip()


@given(st.text('abc="{}, =~!x|', max_size=30))
def test_matchers_are_read_or_refused(text: str):
    with contextlib.suppress(ValueError):
        assert all(isinstance(one, Matcher) for one in routes._matchers(text))


def test_what_tells_nobody_is_known(file: Path):
    assert routes.load(file).silent == {"archive", "nobody"}


def warnings(specs: list[PartitionSLO], file: Path) -> list[str]:
    return [str(one) for one in findings(specs, 1, routes.load(file))]


def compute() -> PartitionSLO:
    return next(one for one in specfile.shipped() if one.name == "compute")


def test_a_severity_that_nobody_routes_is_told_once_with_whose_it_is(file: Path):
    assert warnings([compute()], file) == [
        f"severity page goes to the receiver archive of {file}, which tells nobody (compute/enforced)",
        f"no route of {file} takes severity ticket: it comes to everybody, as anything else (compute/enforced, compute/shared)",
    ]


def test_labels_of_the_alerts_are_known(file: Path):
    told = replace(compute(), alerting=replace(compute().alerting, labels={"namespace": "team-a"}))
    assert any("severity ticket goes to the receiver nobody" in one for one in warnings([told], file))


def test_our_own_routing_takes_everything_once_its_receivers_tell_somebody(tmp_path: Path):
    whom = Receivers(webhooks=dict.fromkeys(Receivers().names, "http://127.0.0.1:1/"))
    path = tmp_path / "am.yml"
    path.write_text(generated.document(specfile.shipped(), whom))
    assert warnings(list(specfile.shipped()), path) == []


def test_the_command_takes_the_file_and_says_what_is_wrong_with_it(file: Path):
    out = io.StringIO()
    assert validate.main(["--alertmanager", str(file), "--strict"], {}, out, io.StringIO()) == 1
    assert "warning: severity page goes to the receiver archive" in out.getvalue()
    file.write_text("route: {receiver: a, matchers: ['=x']}\n")
    with pytest.raises(ConfigError) as caught:
        validate.main(["--alertmanager", str(file)], {}, out, io.StringIO())
    first, second = caught.value.problems
    assert first == f'{file}:1:1: the key "receivers" is missing'
    assert second.startswith(f'{file}:1:33: "=x"; expected a matcher such as')


def test_a_child_takes_what_it_matches_and_the_parent_the_rest():
    child = Route("b", (Matcher("x", Op.EQUAL, "1"),), goes_on=False, routes=())
    root = Route("a", (), goes_on=False, routes=(child,))
    assert [one.receiver for one in root.receivers({"x": "1"})] == ["b"]
    assert [one.receiver for one in root.receivers({})] == ["a"]
