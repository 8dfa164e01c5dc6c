"""What the documents show works: queries, manifests and configuration files, and excerpts that are of the real thing."""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml
from rich.console import Console

from exporter import config, options
from exporter.catalogue import METRICS
from exporter.doctor.privileges import PRIVILEGES
from exporter.incidents import Story, follow
from exporter.screen import alert, happening, partitions
from slo import specfile, validate
from tests.docs.reading import ROOT, blocks, matches, written
from tests.scenarios.stage import Stage
from tests.server.certs import authority
from tests.slo.backtest.test_backtest import play
from tests.slo.check.test_check import check, robbed, story
from toolkit.web import tls, webconfig

README = written()["README.md"]
INSTALL = written()["docs/install.md"]
QUERIES = [query for text in written().values() for query in blocks(text, "promql")]


def test_the_table_of_the_enforcers_names_each_default_path_beside_its_flag() -> None:
    for option, path in (
        (options.HAMI, options.HAMI.default),
        (options.MPS, options.MPS.default),
        (options.DRA, str(Path(options.DRA.default).parent)),
    ):
        assert re.search(rf"^\|[^|]+\| `{re.escape(path)}` \| `--{option.name}`", INSTALL, re.MULTILINE), option.name


def test_the_table_of_privileges_has_the_words_of_doctor():
    rows = dict(re.findall(r"^\| ([^|]+?) (\|.*\|)$", INSTALL, re.MULTILINE))
    for privilege in PRIVILEGES:
        assert f"| {privilege.buys} | {privilege.without} |" in rows[privilege.name], privilege.name


def test_the_configuration_file_is_one(tmp_path: Path) -> None:
    (example,) = [block for block in blocks(INSTALL, "yaml") if block.startswith("# slicewatch.yml")]
    file = tmp_path / "slicewatch.yml"
    file.write_text(example)
    settings = config.parse(["--config.file", str(file)], {}, lambda: "n1")
    assert (settings.log.format, settings.collect.tick) == ("json", 1.0)


def test_queries_use_labels_that_their_metrics_have() -> None:
    labels = {metric.name: set(metric.label_names) for metric in METRICS}
    for query in QUERIES:
        text = re.sub(r"#.*", "", query)
        metrics = {name for name in re.findall(r"\b\w+\b", text) if name in labels}
        assert metrics, query
        grouped = {
            word for group in re.findall(r"(?:by|on|group_left) \(([^)]*)\)", text) for word in group.split(", ")
        }
        matched = {word for braces in re.findall(r"{([^}]*)}", text) for word in re.findall(r"(\w+)=", braces)}
        assert grouped | matched <= set().union(*(labels[name] for name in metrics)), query


def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not installed: apt-get install prometheus")
        pytest.skip("promtool is not installed: apt-get install prometheus")
    return found


def checked(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([promtool(), *arguments], cwd=cwd, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.real
def test_promtool_parses_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"docs:query{number}", "expr": query} for number, query in enumerate(QUERIES)]
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [{"name": "docs", "rules": rules}]}))
    run = checked(["check", "rules", "rules.yml"], tmp_path)
    assert (run.returncode, len(rules) > 3) == (0, True), run.stderr


@pytest.mark.real
def test_promtool_takes_the_scrape_configuration(tmp_path: Path) -> None:
    (example,) = [block for block in blocks(INSTALL, "yaml") if block.startswith("# prometheus.yml")]
    document = yaml.safe_load(example)
    (job,) = document["scrape_configs"]
    assert job["honor_labels"] is True
    # Debian builds Prometheus without Kubernetes discovery, so its promtool does not know the key.
    assert job.pop("kubernetes_sd_configs") == [{"role": "pod", "namespaces": {"names": ["slicewatch"]}}]
    (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(document))
    run = checked(["check", "config", "prometheus.yml"], tmp_path)
    assert run.returncode == 0, run.stderr


def assert_excerpt(excerpt: str, real: list[str]) -> None:
    """Each line of the excerpt is a line of the real text, in its order."""
    position = 0
    for line in (line for line in excerpt.splitlines() if line.strip() not in {"", "…"}):
        found = next((i for i in range(position, len(real)) if matches(line, real[i])), None)
        assert found is not None, f"not in the real text, or not in this order: {line}"
        position = found + 1


def test_the_page_in_the_readme_is_of_the_golden_page() -> None:
    (excerpt,) = blocks(README, "prometheus")
    named = re.search(r"\[(tests/scenarios/pages/[\w-]+\.prom)\]", README)
    assert named is not None
    assert_excerpt(excerpt, (ROOT / named[1]).read_text().splitlines())


def test_the_screen_of_why_in_the_readme_is_of_the_golden_screen() -> None:
    (excerpt,) = [block for block in blocks(README, "text") if "VERDICT" in block]
    named = re.search(r"\[(tests/why/screens/[\w-]+\.txt)\]", README)
    assert named is not None
    assert_excerpt(excerpt, (ROOT / named[1]).read_text().splitlines())


def test_the_demo_in_the_readme_is_of_a_run() -> None:
    (excerpt,) = [block for block in blocks(README, "text") if block.startswith("slicewatch demo")]
    console = Console(file=io.StringIO(), width=160)
    console.print("slicewatch demo: demo", highlight=False)
    stage, story = Stage("demo"), Story()
    try:
        for second in range(1, 61):
            story = follow(story, stage.play(second).result)
            for line in story.news:
                console.print(happening(line), soft_wrap=True)
                if line.kind == "alert":
                    incident = story.open[line.key, line.guarantee]
                    console.print(alert(line.key.namespace, line.key.pod, line.guarantee, incident), soft_wrap=True)
        console.print(partitions(stage.tick.result))
    finally:
        stage.close()
    assert isinstance(console.file, io.StringIO)
    assert_excerpt(excerpt, console.file.getvalue().splitlines())


SLO = written()["docs/slo.md"]


def test_the_objective_of_the_guide_is_one() -> None:
    (document,) = blocks(SLO, "yaml")
    assert len(specfile.parse(document).objectives) == 2


def test_what_the_guide_says_of_three_nines_is_what_validate_says(tmp_path: Path) -> None:
    source = Path(specfile.__file__).parent / "specs" / "compute.yaml"
    (tmp_path / "three-nines.yaml").write_text(source.read_text().replace("target: 0.99\n", "target: 0.999\n"))
    out = io.StringIO()
    validate.main(["--partitions", "10000", str(tmp_path / "three-nines.yaml")], {}, out, io.StringIO())
    shown, *_ = blocks(SLO, "text")
    assert shown.partition("\n")[2].strip() == out.getvalue().strip()


def test_the_screens_of_the_guide_are_real() -> None:
    _, exported, shown, played = blocks(SLO, "text")
    out = io.StringIO()
    compute = Path(specfile.__file__).parent / "specs" / "compute.yaml"
    validate.main(["--export=sloth", str(compute)], {}, out, io.StringIO())
    _same(exported, out.getvalue())
    _same(shown, check(robbed(20))[1])
    _same(played, play(story(20), "--target=0.95,0.995", "--allow=0.1"))


def _same(shown: str, screen: str) -> None:
    lines = screen.splitlines()
    for wanted in shown.splitlines()[1:]:
        assert wanted in {"", "…"} or any(matches(wanted, line) for line in lines), wanted


def test_the_web_configuration_of_the_documentation_is_taken_and_promtool_takes_it_too(tmp_path: Path) -> None:
    (example,) = [block for block in blocks(INSTALL, "yaml") if block.startswith("# web.yml")]
    ca = authority(tmp_path)
    certificate, key = ca.sign("server")
    for made, name in ((ca.file, "ca.crt"), (certificate, "tls.crt"), (key, "tls.key")):
        made.rename(tmp_path / name)
    (tmp_path / "web.yml").write_text(example)
    found = webconfig.read(tmp_path / "web.yml")
    assert found.tls is not None
    assert found.tls.client_allowed_sans == ("prometheus",)
    assert set(found.users) == {"prometheus"}
    tls.context(found.tls)
    if shutil.which("promtool") is None and not os.environ.get("CI"):
        pytest.skip("promtool is missing: apt-get install prometheus")
    # Debian's promtool is older than that key.
    lines = [line for line in example.splitlines(keepends=True) if "client_allowed_sans" not in line]
    (tmp_path / "web.yml").write_text("".join(lines))
    done = subprocess.run(
        ["promtool", "check", "web-config", tmp_path / "web.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
