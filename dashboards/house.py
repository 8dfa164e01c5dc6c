"""The house's look: panels that have a title, a description and a unit, variables, links, annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, dashboard, prometheus, stat, statetimeline, table, text
from grafana_foundation_sdk.builders import timeseries as lines
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from grafana_foundation_sdk.models.text import TextMode

from dashboards.promql import Expr
from dashboards.vocabulary import STATES

SOURCE = look.DataSourceRef(type_val="prometheus", uid="${datasource}")
TAG = "slicewatch"
CARRIED = "${__url_time_range}&${datasource:queryparam}&${cluster:queryparam}"
"""What a drill-down link carries on: the time, the data source, the cluster."""

WIDTHS = {
    "Bad of wanted minutes": 190,
    "Class": 110,
    "Container": 120,
    "Delivered": 90,
    "Device": 345,
    "Entitled": 80,
    "GPU": 345,
    "Guarantee": 125,
    "Kept by": 110,
    "Memory": 85,
    "Memory used": 110,
    "Namespace": 120,
    "Neighbour": 290,
    "Node": 165,
    "Pod": 285,
    "Promised": 105,
    "Read from": 150,
    "SLO": 125,
    "Severity": 110,
    "Sharing": 115,
    "Their namespace": 165,
    "Used": 75,
}
"""Pixels of a column, by heading, so that no name is cut off on a page of 1600; the others share the rest."""

Stat = stat.Panel
Table = table.Panel
Curve = lines.Panel
Lanes = statetimeline.Panel
Bars = bargauge.Panel

Any_ = TypeVar("Any_", stat.Panel, table.Panel, lines.Panel, statetimeline.Panel, bargauge.Panel)


def query(
    expr: Expr, legend: str = "", *, ref: str = "A", instant: bool = False, rows: bool = False
) -> prometheus.Dataquery:
    """A target; `rows` is for tables."""
    found = prometheus.Dataquery().expr(expr.text).legend_format(legend).ref_id(ref).datasource(SOURCE)
    if instant or rows:
        found = found.instant()
    return found.format(PromQueryFormat.TABLE if rows else PromQueryFormat.TIME_SERIES)


def steps(*pairs: tuple[float | None, str]) -> dashboard.ThresholdsConfig:
    """Thresholds: the first is for everything below."""
    found = [model.Threshold(value=value, color=colour) for value, colour in pairs]
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


def _panel(made: Any_, title: str, said: str, unit: str, width: int, height: int) -> Any_:
    return made.title(title).description(said).datasource(SOURCE).unit(unit).span(width).height(height)


def figure(
    title: str, said: str, expr: Expr, unit: str, *, good: Sequence[tuple[float | None, str]] = (), width: int = 4
) -> stat.Panel:
    """One number, as of now, with its line behind it."""
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    found = _panel(stat.Panel(), title, said, unit, width, 4).reduce_options(reduced).no_value("–")
    found = found.graph_mode(look.BigValueGraphMode.AREA).color_mode(look.BigValueColorMode.VALUE)
    return found.thresholds(steps(*(good or ((None, "text"),)))).with_target(query(expr))


def curve(
    title: str,
    said: str,
    unit: str,
    *targets: prometheus.Dataquery,
    colours: Mapping[str, str] | None = None,
    stacked: bool = False,
    bars: bool = False,
    width: int = 12,
    height: int = 8,
    most: float | None = None,
    least: float | None = 0,
) -> lines.Panel:
    """Lines over time; fixed colours by name."""
    found = _panel(lines.Panel(), title, said, unit, width, height).line_width(1)
    if least is not None:
        found = found.min(least)
    found = found.show_points(look.VisibilityMode.NEVER).fill_opacity(70 if stacked else 5)
    found = found.legend(_legend())
    found = found.tooltip(
        common.VizTooltipOptions().mode(look.TooltipDisplayMode.MULTI).sort(look.SortOrder.DESCENDING)
    )
    if most is not None:
        found = found.max(most)
    if stacked:
        found = found.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL).group("A"))
    if bars:
        found = found.draw_style(look.GraphDrawStyle.BARS)
    for target in targets:
        found = found.with_target(target)
    return coloured(found, colours or {})


def _legend() -> common.VizLegendOptions:
    listed = common.VizLegendOptions().display_mode(look.LegendDisplayMode.LIST)
    return listed.placement(look.LegendPlacement.BOTTOM).show_legend(True)


def coloured(found: Any_, colours: Mapping[str, str]) -> Any_:
    """Give series of these names their colours."""
    for name, colour in colours.items():
        found = found.override_by_name(name, [_value("color", {"mode": "fixed", "fixedColor": colour})])
    return found


def dashed(found: lines.Panel, ending: str) -> lines.Panel:
    """Draw what was promised as a dashed line: series whose name ends so. The legend has room for the others only."""
    style = {"fill": "dash", "dash": [8, 6]}
    unlisted = {"legend": True, "tooltip": False, "viz": False}
    return found.override_by_regexp(
        f"/{ending}$/",
        [
            _value("custom.lineStyle", style),
            _value("custom.fillOpacity", 0),
            _value("custom.lineWidth", 2),
            _value("custom.hideFrom", unlisted),
        ],
    )


def outcomes(
    title: str, said: str, expr: Expr, legend: str, *, width: int = 24, height: int = 9
) -> statetimeline.Panel:
    """A lane for each partition, coloured by what it is."""
    words: list[Any] = [
        model.ValueMap(
            options={
                str(value): model.ValueMappingResult(text=word, color=colour, index=place)
                for place, (value, word, colour) in enumerate(sorted(STATES))
            }
        )
    ]
    found = _panel(statetimeline.Panel(), title, said, "none", width, height).mappings(words)
    found = found.row_height(0.8).line_width(0).fill_opacity(85).show_value(look.VisibilityMode.NEVER)
    found = found.legend(_legend())
    return found.merge_values(True).with_target(query(expr, legend))


def bars(
    title: str, said: str, expr: Expr, legend: str, unit: str, *, width: int = 8, height: int = 8
) -> bargauge.Panel:
    """A bar for each series, as of now."""
    reduced = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    found = _panel(bargauge.Panel(), title, said, unit, width, height).reduce_options(reduced).min(0).max(1)
    found = found.orientation(look.VizOrientation.HORIZONTAL).display_mode(look.BarGaugeDisplayMode.BASIC)
    found = found.thresholds(steps((None, "#d55e00"), (0.25, "#e69f00"), (0.5, "#0072b2")))
    return found.with_target(query(expr, legend, instant=True))


def rows(
    title: str,
    said: str,
    columns: Mapping[str, str],
    *targets: prometheus.Dataquery,
    units: Mapping[str, str] | None = None,
    links: Mapping[str, str] | None = None,
    sort: str = "",
    width: int = 24,
    height: int = 9,
) -> table.Panel:
    """A table: `columns` are fields in their order with their headings, `units` and `links` are by heading."""
    found = _panel(table.Panel(), title, said, "none", width, height).filterable(True)
    for target in targets:
        found = found.with_target(target)
    order = {name: place for place, name in enumerate(columns)}
    shown = {"renameByName": dict(columns), "indexByName": order, "includeByName": dict.fromkeys(columns, True)}
    found = found.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    found = found.with_transformation(model.DataTransformerConfig(id_val="organize", options=shown))
    for heading, unit in (units or {}).items():
        found = found.override_by_name(
            heading, [_value("unit", unit), _value("custom.align", "right"), _value("custom.filterable", False)]
        )
    for heading in columns.values():
        if heading in WIDTHS:
            found = found.override_by_name(heading, [_value("custom.width", WIDTHS[heading])])
    for heading, url in (links or {}).items():
        link = {"title": "Look closer", "url": url}
        found = found.override_by_name(heading, [_value("links", [link])])
    if sort:
        found = found.sort_by([common.TableSortByFieldState().display_name(sort).desc(True)])
    return found


def gauge(found: table.Panel, *headings: str) -> table.Panel:
    """Draw ratios of a table as small bars."""
    for heading in headings:
        found = found.override_by_name(
            heading,
            [
                _value("custom.cellOptions", {"type": "gauge", "mode": "basic"}),
                _value("min", 0),
                _value("max", 1),
                _value("color", {"mode": "fixed", "fixedColor": "#d55e00"}),
            ],
        )
    return found


def note(title: str, said: str, content: str, *, width: int = 24, height: int = 3) -> text.Panel:
    """Words."""
    found = text.Panel().title(title).description(said).span(width).height(height)
    return found.mode(TextMode.MARKDOWN).content(content)


def board(title: str, uid: str, said: str, *, variables: Iterable[Any], since: str = "now-6h") -> dashboard.Dashboard:
    """An empty dashboard with what all have: variables, links that keep time and variables, annotations."""
    found = dashboard.Dashboard(title).uid(uid).description(said).tags([TAG]).time(since, "now").refresh("1m")
    found = found.timezone("browser").tooltip(model.DashboardCursorSync.CROSSHAIR).editable()
    for each in variables:
        found = found.with_variable(each)
    others = dashboard.DashboardLink("slicewatch").type(model.DashboardLinkType.DASHBOARDS).tags([TAG])
    return found.link(others.as_dropdown(True).include_vars(True).keep_time(True))


def source() -> dashboard.DatasourceVariable:
    """The data source's variable."""
    return dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus")


def choice(name: str, label: str, values: str, *, all_: bool = True) -> dashboard.QueryVariable:
    """A variable of label values; all of them match a label that is absent, too."""
    found = dashboard.QueryVariable(name).label(label).datasource(SOURCE).query(values)
    found = found.refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(model.VariableSort.ALPHABETICAL_ASC)
    if not all_:
        return found
    everything = model.VariableOption(selected=True, text="All", value="$__all")
    return found.multi(True).include_all(True).all_value(".*").current(everything)


def word(name: str, label: str, words: Sequence[str], chosen: str) -> dashboard.CustomVariable:
    """A variable of fixed words, one of which is chosen."""
    options = [model.VariableOption(selected=one == chosen, text=one, value=one) for one in words]
    current = model.VariableOption(selected=True, text=chosen, value=chosen)
    return dashboard.CustomVariable(name).label(label).values(",".join(words)).options(options).current(current)


def annotation(name: str, expr: Expr, colour: str, title: str, words: str) -> dashboard.AnnotationQuery:
    """Marks on every time line."""
    found = dashboard.AnnotationQuery().name(name).datasource(SOURCE).enable(True).icon_color(colour).expr(expr.text)
    return found.step("60s").title_format(title).text_format(words)


def _value(id_: str, value: Any) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=id_, value=value)
