"""The page that draws dashboards: every panel shows what its queries find, in both themes, and asks nobody outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from dashboards.render.browser import Job, visit
from dashboards.render.drawing import Drawing, Wish, draw
from dashboards.render.programs import NotInstalledError, program
from dashboards.render.serving import served
from dashboards.render.site import PAGE, Site, build
from tests.dashboards.reading import ROOT, boards, everything, filled, panels
from tests.dashboards.scene import BEGIN, END, SCRAPE
from tests.slo.servers import Prometheus

pytestmark = [pytest.mark.real, pytest.mark.timeout(300)]

BOARDS = boards()
NARROW = {"namespace": ["checkout"], "pod": ["product-ranker-5b7f6c9d4-lm2xw"]}


@pytest.fixture(scope="module")
def site() -> Site:
    try:
        for name in ("node", "npm", "chromium"):
            program(name)
    except NotInstalledError as error:
        if os.environ.get("CI"):
            pytest.fail(str(error))
        pytest.skip(str(error))
    return build()


def wish(text: str, png: Path, **how: Any) -> Wish:
    return Wish(text, png, start=BEGIN, end=END, scrape=SCRAPE, **how)


@pytest.fixture(scope="module")
def drawings(site: Site, evening: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Drawing]:
    """Every dashboard once, in one run of the browser: two in each theme."""
    folder = tmp_path_factory.mktemp("drawn")
    themes = dict(zip(BOARDS, ("light", "dark", "dark", "light"), strict=True))
    wishes = [wish(json.dumps(BOARDS[name]), folder / f"{name}.png", theme=theme) for name, theme in themes.items()]
    return dict(zip(BOARDS, draw(site, evening.url, wishes), strict=True))


def expected(panel: Any, chosen: dict[str, str], evening: Prometheus) -> int:
    """How many series (of a table: rows) Prometheus finds for a panel, asked without the page."""
    found: list[Any] = []
    for target in panel["targets"]:
        query = filled(target["expr"], chosen)
        instant = target.get("instant")
        found += evening.query(query, END) if instant else evening.query_range(query, BEGIN, END, SCRAPE)
    if (
        panel["type"] == "table" and len(panel["targets"]) > 1
    ):  # they are merged into rows by all labels that they have in common
        shared = set.intersection(*({*row["metric"]} for row in found))
        return len({tuple(row["metric"][label] for label in sorted(shared)) for row in found})
    return len(found)


@pytest.mark.parametrize("name", BOARDS)
def test_each_panel_shows_as_many_series_as_its_queries_find(
    name: str, drawings: dict[str, Drawing], evening: Prometheus
):
    drawing, board = drawings[name], BOARDS[name]
    assert drawing.faults == []
    chosen = everything(board)
    shown = {panel.title: panel.count for panel in drawing.panels if panel.kind != "text"}
    wanted = {panel["title"]: expected(panel, chosen, evening) for panel in panels(board) if panel["type"] != "text"}
    assert shown == wanted
    assert all(wanted.values())
    assert {panel.id for panel in drawing.panels} == {panel["id"] for panel in panels(board)}


@pytest.mark.parametrize("name", BOARDS)
def test_annotations_and_variables_are_those_of_the_evening(name: str, drawings: dict[str, Drawing]):
    drawing = drawings[name]
    assert drawing.marks["MIG reconfigurations"] == 1
    assert drawing.marks["Alerts"] == 9
    assert len(drawing.variables["namespace"]) == 8
    assert len(drawing.variables["pod"]) == 10


@pytest.mark.parametrize("name", BOARDS)
def test_the_picture_is_not_blank_and_has_the_dashboards_size(name: str, drawings: dict[str, Drawing]):
    bottom = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in BOARDS[name]["panels"])
    with Image.open(drawings[name].png) as picture:
        assert picture.width == 1600
        assert picture.height == pytest.approx(bottom * 38, abs=90)
        colours = picture.convert("RGB").getcolors(1 << 24) or []
        most = max(count for count, _ in colours)
    assert len(colours) > 500
    assert most < 0.9 * picture.width * picture.height


def test_the_same_time_makes_the_same_picture_and_a_chosen_pod_another(site: Site, evening: Prometheus, tmp_path: Path):
    text = json.dumps(BOARDS["tenant"])
    pngs = [tmp_path / name for name in ("one.png", "again.png", "narrow.png")]
    wishes = [wish(text, pngs[0]), wish(text, pngs[1]), wish(text, pngs[2], variables=NARROW)]
    *_, narrow = draw(site, evening.url, wishes)
    assert pngs[0].read_bytes() == pngs[1].read_bytes()
    assert {panel.title: panel.count for panel in narrow.panels}["Pod by pod"] == 1
    assert pngs[2].read_bytes() != pngs[0].read_bytes()


def broken(board: dict[str, Any]) -> dict[str, Any]:
    """A dashboard with one fault of each kind."""
    found: dict[str, Any] = json.loads(json.dumps(board))
    by_kind = {panel["type"]: panel for panel in found["panels"]}
    by_kind["timeseries"]["targets"][0]["expr"] = "sum("
    by_kind["stat"]["targets"][0]["expr"] = "nothing_has_this_name"
    by_kind["table"]["transformations"] = [{"id": "mystery", "options": {}}]
    by_kind["bargauge"]["type"] = "piechart"
    found["annotations"]["list"].append({"name": "Wrong", "enable": True, "expr": ")"})
    return found


def test_what_is_wrong_is_told_panel_by_panel(site: Site, evening: Prometheus, tmp_path: Path):
    (drawing,) = draw(site, evening.url, [wish(json.dumps(broken(dict(BOARDS["fleet"]))), tmp_path / "broken.png")])
    by_kind = {panel.kind: panel for panel in drawing.panels}
    assert "parse error" in by_kind["timeseries"].errors[0]
    assert by_kind["stat"].count == 0
    assert by_kind["table"].errors == ("the transformation mystery is not known to @grafana/data",)
    assert by_kind["piechart"].errors == ("panels of the kind piechart are not drawn here",)
    assert any(fault.startswith("annotation Wrong: ") for fault in drawing.faults)
    assert f"{by_kind['stat'].title}: nothing is drawn" in drawing.faults


def test_without_a_prometheus_nothing_is_drawn_and_it_is_said(site: Site, tmp_path: Path):
    (drawing,) = draw(site, "http://127.0.0.1:9", [wish(json.dumps(BOARDS["slo"]), tmp_path / "none.png")])
    assert any("Prometheus: " in fault for fault in drawing.faults)
    assert not any(panel.count for panel in drawing.panels if panel.kind != "text")


def test_a_page_that_asks_another_host_is_told(site: Site, tmp_path: Path):
    page = "<script>fetch('http://192.0.2.1/x').catch(() => 0); done = true</script>"
    dist = tmp_path / "dist"
    dist.mkdir()
    (dist / "index.html").write_text(page)
    free = visit(site, [Job((dist / "index.html").as_uri(), str(tmp_path / "free.png"), ready="window.done")])
    assert "http://192.0.2.1/x" in free[0].outside
    with served(dist, {}, "http://127.0.0.1:9") as origin:
        (held,) = visit(site, [Job(f"{origin}/", str(tmp_path / "held.png"), ready="true")])
    assert any("script-src" in error for error in held.errors)  # the policy does not even let it start


def test_the_command_draws_and_says_what_is_wrong(site: Site, evening: Prometheus, tmp_path: Path):
    assert site.dist.is_dir()
    command = [sys.executable, "-m", "dashboards.render", "dashboards/json/slo.json", "--prometheus", evening.url]
    command += [
        "--from",
        str(BEGIN),
        "--to",
        str(END),
        "--scrape",
        str(SCRAPE),
        "--theme",
        "dark",
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    (report,) = json.loads(done.stdout)
    assert report["title"] == "slicewatch / SLO"
    assert (tmp_path / "slo-dark.png").stat().st_size > 50_000


def test_the_lock_file_names_no_registry_of_ours():
    lock = json.loads((PAGE / "package-lock.json").read_text())
    resolved = {entry.get("resolved", "https://registry.npmjs.org/") for entry in lock["packages"].values()}
    assert all(address.startswith("https://registry.npmjs.org/") for address in resolved)
    assert all("integrity" in entry for path, entry in lock["packages"].items() if path)
