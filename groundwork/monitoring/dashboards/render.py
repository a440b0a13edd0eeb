"""Dashboards as Grafana reads them from files, by Grafana's own library.

Files are of the classic model: the newer ones, of resources, are not accepted by every supported version that reads
dashboards from files (grafana/grafana, issue 123607).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from grafana_foundation_sdk.builders import bargauge, logs, loki, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import common as parts
from grafana_foundation_sdk.builders import dashboard as builders
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

from ..alerts import runbook_of
from .panels import WIDTH, Dashboard, Panel, Query, Row, Source, Steps, Variable

TAG = "groundwork"
"""By it each dashboard lists the others."""
REFRESH = "30s"
MOST_LINES = 500
"""Of a log that are fetched at once."""
UNWANTED = frozenset({"auto", "auto_count", "auto_min", "footer"})
"""Keys of variables and tables that the library always writes, and Grafana 13 no longer knows."""

AnyPanel = bargauge.Panel | logs.Panel | stat.Panel | table.Panel | timeseries.Panel
AnyQuery = prometheus.Dataquery | loki.Dataquery


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A panel in the grid, `x` and `y` from the upper left corner."""

    panel: Panel
    x: int
    y: int


def rendered(dashboard: Dashboard, time_zone: str) -> str:
    """The file. The same dashboard gives the same text."""
    found = models.Dashboard(
        uid=dashboard.uid,
        title=dashboard.title,
        description=dashboard.text,
        tags=[TAG, *dashboard.tags],
        timezone=time_zone,
        editable=False,
        graph_tooltip=models.DashboardCursorSync.CROSSHAIR,
        time=models.DashboardDashboardTime(from_val=f"now-{dashboard.hours}h", to="now"),
        refresh=REFRESH,
        panels=list(_panels(dashboard.rows)),
        templating=models.DashboardDashboardTemplating(list_val=[variable_of(one) for one in dashboard.variables]),
        annotations=models.AnnotationContainer(list_val=[]),
        links=[_others()],
    )
    known = json.loads(JSONEncoder().encode(found), object_hook=_known)
    return json.dumps(known, sort_keys=True, indent=1, ensure_ascii=False) + "\n"


def _known(keys: dict[str, object]) -> dict[str, object]:
    # The one word that the library has for the place of a link hides it in a menu.
    unwanted = UNWANTED | {"placement"} if "targetBlank" in keys else UNWANTED
    return {key: value for key, value in keys.items() if key not in unwanted}


def _others() -> models.DashboardLink:
    link = builders.DashboardLink("Dashboards").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).keep_time(True).icon("external link").tooltip("The other dashboards").build()


def _panels(rows: Sequence[Row]) -> Iterator[models.Panel | models.RowPanel]:
    """With numbers of their own, which links to one panel keep."""
    number, top = 1, 0
    for row in rows:
        place = models.GridPos(x=0, y=top, w=WIDTH, h=1)
        yield models.RowPanel(title=row.title, id_val=number, grid_pos=place, panels=[])
        number, top = number + 1, top + 1
        for one in placed(row, top):
            panel = one.panel
            place = models.GridPos(x=one.x, y=one.y, w=panel.width, h=panel.height)
            yield panel_of(panel).id(number).grid_pos(place).build()
            number, top = number + 1, max(top, one.y + panel.height)


def placed(row: Row, top: int) -> Iterator[Placed]:
    """From left to right; what does not fit beside the others begins below the highest of them."""
    x, y, highest = 0, top, 0
    for panel in row.panels:
        if x + panel.width > WIDTH:
            x, y, highest = 0, y + highest, 0
        yield Placed(panel=panel, x=x, y=y)
        x, highest = x + panel.width, max(highest, panel.height)


def panel_of(panel: Panel) -> AnyPanel:
    """With everything but its place."""
    built = _kind_of(panel)
    built.title(panel.title).description(description_of(panel)).unit(panel.unit)
    built.datasource(source_of(panel.queries[0].source))
    for place, query in enumerate(panel.queries):
        letter = chr(ord("A") + place)
        built.with_target(query_of(query, letter, now=panel.kind in ("number", "bars", "table"), kind=panel.kind))
        if query.steps:
            own = models.DynamicConfigValue("thresholds", _thresholds(query.steps).build())
            built.override_by_query(letter, [own])
    if panel.steps:
        built.thresholds(_thresholds(panel.steps))
    if panel.most is not None:
        built.max(panel.most)
    if panel.kind in ("lines", "bars"):
        built.min(0)
    if panel.empty:
        built.no_value(panel.empty)
    if panel.leads_to:
        there = builders.DashboardLink("More of it").type(models.DashboardLinkType.LINK)
        built.links([there.url(f"/d/{panel.leads_to}").keep_time(True).icon("dashboard").tooltip("")])
    return built


def description_of(panel: Panel) -> str:
    """Its words, and the pages for whoever must act."""
    pages = ", ".join(f"`{runbook_of(name)}`" for name in panel.runbooks)
    return f"{panel.text}\n\nRunbooks: {pages}" if pages else panel.text


def _kind_of(panel: Panel) -> AnyPanel:
    last = parts.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    match panel.kind:
        case "number":
            shown = common.BigValueTextMode.VALUE_AND_NAME if panel.queries[0].legend else common.BigValueTextMode.VALUE
            number = stat.Panel().reduce_options(last).text_mode(shown).graph_mode(common.BigValueGraphMode.NONE)
            return number.color_scheme(_by_steps()) if panel.steps else number.color_mode(common.BigValueColorMode.NONE)
        case "bars":
            bars = bargauge.Panel().reduce_options(last).orientation(common.VizOrientation.HORIZONTAL)
            return bars.color_scheme(_by_steps()).display_mode(common.BarGaugeDisplayMode.BASIC)
        case "table":
            rows = table.Panel().cell_options(common.TableAutoCellOptions()).transformations(list(_columns()))
            by = parts.TableSortByFieldState().display_name(panel.sorted_by).desc(False)
            return rows.sort_by([by]) if panel.sorted_by else rows
        case "log":
            log = logs.Panel().show_time(True).wrap_log_message(True).enable_log_details(True)
            return log.sort_order(common.LogsSortOrder.DESCENDING)
    legend = parts.VizLegendOptions().show_legend(True).display_mode(common.LegendDisplayMode.LIST)
    tooltip = parts.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    lines = timeseries.Panel().legend(legend.placement(common.LegendPlacement.BOTTOM)).tooltip(tooltip)
    lines.line_width(1).fill_opacity(30 if panel.stacked else 5).show_points(common.VisibilityMode.NEVER)
    if panel.stacked:
        lines.stacking(parts.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    if panel.steps:
        lines.thresholds_style(parts.GraphThresholdsStyleConfig().mode(common.GraphThresholdsStyleMode.DASHED))
    return lines


def _columns() -> Iterator[models.DataTransformerConfig]:
    """Labels as columns, without what is the same in every row."""
    hidden = ("Time", "Value", "__name__", "alertstate")
    yield models.DataTransformerConfig(id_val="organize", options={"excludeByName": {name: True for name in hidden}})


def _by_steps() -> builders.FieldColor:
    return builders.FieldColor().mode(models.FieldColorModeId.THRESHOLDS)


def _thresholds(steps: Steps) -> builders.ThresholdsConfig:
    known = [models.Threshold(value=value, color=colour) for value, colour in steps]
    return builders.ThresholdsConfig().mode(models.ThresholdsMode.ABSOLUTE).steps(known)


def source_of(source: Source) -> common.DataSourceRef:
    return common.DataSourceRef(type_val=source, uid=source)


def query_of(query: Query, letter: str, *, now: bool, kind: str) -> AnyQuery:
    if query.source == "loki":
        asked = loki.Dataquery().expr(query.expr).legend_format(query.legend).ref_id(letter)
        asked.query_type("instant" if now else "range")
        return asked.max_lines(MOST_LINES) if kind == "log" else asked
    metric = prometheus.Dataquery().expr(query.expr).legend_format(query.legend or "__auto").ref_id(letter)
    metric.datasource(source_of("prometheus"))
    metric.format(PromQueryFormat.TABLE if kind == "table" else PromQueryFormat.TIME_SERIES)
    return metric.instant() if now else metric.range()


def variable_of(one: Variable) -> models.VariableModel:
    if not one.label:
        return builders.TextBoxVariable(one.name).label(one.title).description(one.text).default_value("").build()
    found = builders.QueryVariable(one.name).label(one.title).description(one.text)
    found.datasource(source_of(one.source)).refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
    found.sort(models.VariableSort.ALPHABETICAL_ASC).query(_values(one))
    # What has no such label belongs to all of them as well.
    return (found.multi(True).include_all(True).all_value(".*") if one.many else found).build()


def _values(one: Variable) -> dict[str, object]:
    """A question for values of a label, in the words of each data source's editor."""
    if one.source == "loki":
        return {"label": one.label, "stream": one.of, "type": 1, "refId": "LokiVariableQueryEditor-VariableQuery"}
    asked = f"label_values({one.of}, {one.label})"
    return {"query": asked, "qryType": 1, "refId": "PrometheusVariableQueryEditor-VariableQuery"}
