"""The command line and the configuration file, together."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from exporter import config, options
from exporter.values import KubernetesMode, SourceKind
from toolkit import values
from toolkit.errors import ConfigError
from toolkit.logs import Log
from toolkit.site import Site
from toolkit.values import Address, Level, LogFormat
from toolkit.web.server import Web

Writer = Callable[[str], str]


def parse(*argv: str, environ: dict[str, str] | None = None) -> config.Settings:
    return config.parse(argv, environ or {}, lambda: "host")


def refused(*argv: str, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as caught:
        parse(*argv, environ=environ)
    return caught.value.problems


def test_without_flags_every_setting_has_the_contracts_default():
    assert parse() == config.Settings(
        web=Web(listen=Address("0.0.0.0", 9945), config_file=None, max_requests=40),  # noqa: S104  # the contract's default
        sources=config.Sources(
            kind=SourceKind.NVML,
            scenario="mig-mixed",
            seed=1,
            procfs=Path("/proc"),
            podresources=Path("/var/lib/kubelet/pod-resources/kubelet.sock"),
            kubernetes=KubernetesMode.AUTO,
            hami=Path("/usr/local/vgpu/containers"),
            mps=Path("/run/nvidia/mps"),
            dra=Path("/var/lib/kubelet/plugins/gpu.nvidia.com/checkpoint.json"),
        ),
        collect=config.Collect(node="host", tick=1.0, departed_keep=60.0),
        log=Log(level=Level.INFO, format=LogFormat.LOGFMT),
        once=False,
    )


@pytest.mark.parametrize(
    ("argv", "part", "name", "expected"),
    [
        (["--web.listen-address", ":9945"], "web", "listen", Address("", 9945)),
        (["--web.listen-address=[::]:0"], "web", "listen", Address("::", 0)),
        (["--web.listen-address=localhost:80"], "web", "listen", Address("localhost", 80)),
        (["--web.config.file", "w.yml"], "web", "config_file", Path("w.yml")),
        (["--web.max-requests=1"], "web", "max_requests", 1),
        (["--web.series-limit=5000"], "collect", "series_limit", 5000),
        (["--node.name", "gpu-1"], "collect", "node", "gpu-1"),
        (["--tick=500ms"], "collect", "tick", 0.5),
        (["--tick", "1m"], "collect", "tick", 60.0),
        (["--departed.keep", "0"], "collect", "departed_keep", 0.0),
        (["--source=simulator"], "sources", "kind", SourceKind.SIMULATOR),
        (["--source=simulator", "--simulator.scenario=x"], "sources", "scenario", "x"),
        (["--source=simulator", "--simulator.scenario=./x"], "sources", "scenario", "./x"),
        (["--source=simulator", "--simulator.seed=7"], "sources", "seed", 7),
        (["--path.procfs=/host/proc"], "sources", "procfs", Path("/host/proc")),
        (["--podresources.socket", ""], "sources", "podresources", None),
        (["--podresources.socket="], "sources", "podresources", None),
        (["--kubernetes=off"], "sources", "kubernetes", KubernetesMode.OFF),
        (["--kubernetes=/root/.kube/config"], "sources", "kubernetes", Path("/root/.kube/config")),
        (["--path.hami="], "sources", "hami", None),
        (["--path.mps=/host/mps"], "sources", "mps", Path("/host/mps")),
        (["--path.dra-checkpoint="], "sources", "dra", None),
        (["--log.level=warn"], "log", "level", Level.WARN),
        (["--log.format", "json"], "log", "format", LogFormat.JSON),
        (["--dcgm.url="], "sources", "dcgm", None),
        (["--dcgm.url=http://[::1]:9400/metrics"], "sources", "dcgm", Site("http://[::1]:9400/metrics")),
    ],
)
def test_a_flag_sets_its_setting(argv: list[str], part: str, name: str, expected: object):
    assert getattr(getattr(parse(*argv), part), name) == expected


def test_once_is_a_switch():
    assert parse("--once").once
    assert not parse("--no-once").once


@pytest.mark.parametrize(
    ("argv", "expected"),
    [
        (["--web.listen-adress", "x"], 'unknown flag --web.listen-adress, did you mean "--web.listen-address"?'),
        (["--tic=1s"], 'unknown flag --tic, did you mean "--tick"?'),
        (["-once"], 'unknown flag -once, did you mean "--once"?'),
        (["--qqq"], "unknown flag --qqq"),
        (["demo"], 'unexpected argument "demo"'),
        (["--tick"], "argument --tick: expected one argument"),
        (["--tick", "1s", "--tick=2s"], "--tick is given 2 times; expected once"),
        (["--tick", "5"], '--tick: "5"; expected a duration such as 500ms, 1s or 1m30s'),
        (["--tick", "99ms"], '--tick: "99ms"; expected a duration from 100ms to 60s'),
        (["--tick", "61s"], '--tick: "61s"; expected a duration from 100ms to 60s'),
        (["--web.max-requests=0"], '--web.max-requests: "0"; expected a whole number from 1 to 10000'),
        (["--web.series-limit=0"], '--web.series-limit: "0"; expected a whole number from 1000 to 10000000'),
        (["--web.listen-address=9945"], '--web.listen-address: "9945"; expected an address such as'),
        (["--web.listen-address=::9945"], '--web.listen-address: "::9945"; expected an address such as'),
        (["--web.listen-address=a:65536"], '--web.listen-address: "a:65536"; expected an address such as'),
        (["--source=dcgm"], '--source: "dcgm"; expected nvml, simulator or replay'),
        (["--source=replay"], "--source replay needs --replay.file: expected a recording"),
        (["--replay.file=f"], "--replay.file needs source replay, and source is nvml (by default)"),
        (["--dcgm.url=x"], '--dcgm.url: "x"; expected the URL of a page, such as http://localhost:9400/metrics'),
        (["--dcgm.url=ftp://x/metrics"], '--dcgm.url: "ftp://x/metrics"; expected the URL of a page'),
        (
            ["--dcgm.url=http://x", "--source=simulator"],
            "--dcgm.url needs source nvml, and source is simulator (--source)",
        ),
        (["--simulator.seed=1"], "--simulator.seed needs source simulator, and source is nvml (by default)"),
        (
            ["--source=nvml", "--simulator.scenario=x"],
            "--simulator.scenario needs source simulator, and source is nvml (--source)",
        ),
        (["--kubernetes=on"], '--kubernetes: "on"; expected auto, off or the path'),
        (["--path.procfs="], '--path.procfs: ""; expected a path'),
        (["--node.name=a b"], '--node.name: "a b"; expected a name'),
        (["--config.file=/nowhere.yaml"], "/nowhere.yaml: cannot be read: No such file"),
    ],
)
def test_what_cannot_be_honoured_is_refused_in_one_line(argv: list[str], expected: str):
    (line,) = refused(*argv)
    assert line.startswith(expected), line


def test_all_faults_of_a_command_line_are_told_at_once():
    assert len(refused("--tick=5", "--log.level=loud", "--simulator.seed=1", "--dcgm.url=x")) == 4


def test_the_nodes_name_comes_from_the_flag_then_the_environment_then_the_host():
    environ = {"NODE_NAME": "from-env"}
    assert parse("--node.name=flag", environ=environ).collect.node == "flag"
    assert parse(environ=environ).collect.node == "from-env"
    assert parse(environ={"NODE_NAME": ""}).collect.node == "host"
    assert refused(environ={"NODE_NAME": "a\nb"}) == (
        '$NODE_NAME: "a\\nb"; expected a name of at most 253 characters without white space',
    )


@pytest.fixture
def written(tmp_path: Path) -> Writer:
    def write(text: str) -> str:
        path = tmp_path / "s.yaml"
        path.write_text(text)
        return f"--config.file={path}"

    return write


def test_flat_and_nested_keys_say_the_same(written: Writer):
    flat = parse(written("web.listen-address: ':80'\nlog.level: debug\ntick: 2s\nonce: true\n"))
    nested = parse(written("web: {listen-address: ':80'}\nlog:\n  level: debug\ntick: 2s\nonce: yes\n"))
    assert flat == nested
    assert flat.web.listen == Address("", 80)
    assert flat.once


def test_every_flag_is_a_key_of_the_file(written: Writer):
    needed = {"simulator.scenario": "simulator", "simulator.seed": "simulator"}
    for option in options.OPTIONS:
        if option is options.CONFIG_FILE:
            continue
        if option is options.REPLAY_FILE:
            continue  # it has no default that stands with its source
        extra = f"source: {needed[option.name]}\n" if option.name in needed else ""
        default = f"'{option.default}'" if not option.switch else option.default
        parse(written(f"{extra}{option.name}: {default}\n"))


def test_a_recording_may_be_named_in_the_file(written: Writer, tmp_path: Path):
    assert parse(written("source: replay\nreplay.file: r.swrec\n")).sources.replay == tmp_path / "r.swrec"


def test_a_flag_wins_over_the_file_and_the_file_over_the_default(written: Writer):
    file = written("tick: 2s\nlog.level: error\n")
    assert parse(file).collect.tick == 2.0
    assert parse(file, "--tick=3s").collect.tick == 3.0
    assert parse(file, "--tick=3s").log.level is Level.ERROR
    assert not parse(written("once: true"), "--no-once").once


def test_a_relative_path_in_the_file_starts_from_the_files_folder(written: Writer, tmp_path: Path):
    settings = parse(
        written("web.config.file: w.yml\npath.procfs: /host/proc\nkubernetes: ./kube\npodresources.socket: ''\n")
    )
    assert settings.web.config_file == tmp_path / "w.yml"
    assert settings.sources.procfs == Path("/host/proc")
    assert settings.sources.kubernetes == tmp_path / "kube"
    assert settings.sources.podresources is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("web.listen-adress: x", ['1:1: unknown key "web.listen-adress", did you mean "web.listen-address"?']),
        ("web: {max-request: 1}", ['1:7: unknown key "web.max-request", did you mean "web.max-requests"?']),
        ("log: info", ['1:6: "info"; expected a mapping']),
        ("tick: {a: 1}", ["1:7: a mapping; expected text"]),
        ("tick:", ["1:6: nothing is written here; expected text"]),
        ("tick: 1", ['1:7: tick: "1"; expected a duration']),
        ("once: maybe", ['1:7: "maybe"; expected true or false']),
        ("config.file: x", ["1:1: config.file cannot be set in the file that it names"]),
        ("log.level: info\nlog: {level: warn}", ["2:14: log sets log.level again, after line 1"]),
        ("source: replay", ["1:9: source replay needs --replay.file: expected a recording"]),
        ("a: 1\nb: 2\ntick: 7", ['1:1: unknown key "a"', '2:1: unknown key "b"', '3:7: tick: "7"; expected']),
    ],
)
def test_a_fault_of_the_file_has_its_place(written: Writer, tmp_path: Path, text: str, expected: list[str]):
    lines = refused(written(text))
    assert len(lines) == len(expected), lines
    for line, start in zip(lines, expected, strict=True):
        assert line.startswith(f"{tmp_path}/s.yaml:{start}"), line


@pytest.mark.parametrize(
    ("text", "seconds"), [("0", 0), ("500ms", 0.5), ("1m30s", 90), ("1h", 3600), ("1d2h", 93600), ("1w", 604800)]
)
def test_a_duration_is_read_as_prometheus_reads_it(text: str, seconds: float):
    assert values.duration(text) == seconds


@pytest.mark.parametrize("text", ["", "1", "s", "1s1m", "1.5s", "-1s", " 1s", "1S", "1s\n", "１s"])
def test_what_prometheus_does_not_take_for_a_duration_is_none(text: str):
    with pytest.raises(ValueError, match="a duration such as"):
        values.duration(text)


def test_settings_are_frozen():
    with pytest.raises(dataclasses.FrozenInstanceError):
        parse().once = True  # type: ignore[misc]  # the point of the test


def test_the_help_names_every_flag(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as caught:
        parse("--help")
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(f"--{option.name}" in shown for option in options.OPTIONS)


def test_the_configuration_page_has_a_row_for_every_option():
    page = options.markdown()
    assert page.startswith("# Configuration\n")
    assert [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")] == [
        option.name for option in options.OPTIONS
    ]
