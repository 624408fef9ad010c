"""Boards as Grafana's own classes: grid, ids, links, units and colours are given out here."""

from collections.abc import Iterator
from string import ascii_uppercase
from typing import Any

from grafana_foundation_sdk.builders import (
    bargauge,
    common,
    dashboard,
    heatmap,
    stat,
    statetimeline,
    table,
    timeseries,
)
from grafana_foundation_sdk.models import common as common_models
from grafana_foundation_sdk.models import dashboard as models
from grafana_foundation_sdk.models import prometheus
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode

from deploy.grafana.source.board import COLUMNS, GREEN, Board, Kind, Panel, Query, Row, Variable

_SOURCE = models.DataSourceRef(type_val="prometheus", uid="${datasource}")
_TAG = "easel"
_NEWEST = (Kind.NUMBER, Kind.BARS, Kind.TABLE)


def rendered(board: Board) -> models.Dashboard:
    """The dashboard as Grafana reads it. The same board gives the same dashboard."""
    built = (
        dashboard.Dashboard(board.title)
        .uid(f"easel-{board.name}")
        .description(board.about)
        .tags([_TAG])
        .editable()
        .refresh("10s")
        .time("now-1h", "now")
        .timezone("browser")
        .tooltip(models.DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Easel")
            .type(models.DashboardLinkType.DASHBOARDS)
            .tags([_TAG])
            .as_dropdown(True)
            .include_vars(True)
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    for variable in board.variables:
        built = built.with_variable(_variable(variable))
    whole = built.build()
    whole.annotations = models.AnnotationContainer(list_val=[])
    whole.panels = list(_placed(board.rows))
    return whole


def _placed(rows: tuple[Row, ...]) -> Iterator[models.Panel | models.RowPanel]:
    """Panels from left to right, in lines as high as the highest; ids count from 1."""
    y, given = 0, 0
    for row in rows:
        given += 1
        yield models.RowPanel(
            title=row.title, id_val=given, grid_pos=models.GridPos(h=1, w=COLUMNS, x=0, y=y), panels=[]
        )
        x, y, highest = 0, y + 1, 0
        for panel in row.panels:
            if x + panel.width > COLUMNS:
                x, y, highest = 0, y + highest, 0
            given += 1
            yield _panel(panel, given, models.GridPos(h=panel.height, w=panel.width, x=x, y=y))
            x, highest = x + panel.width, max(highest, panel.height)
        y += highest


def _panel(panel: Panel, number: int, at: models.GridPos) -> models.Panel:
    built = (
        _drawn(panel)
        .id(number)
        .title(panel.title)
        .description(panel.about)
        .datasource(_SOURCE)
        .grid_pos(at)
        .unit(panel.unit.value)
        # Without thresholds Grafana has some of its own, and colours what is above 80.
        .thresholds(
            dashboard.ThresholdsConfig()
            .mode(models.ThresholdsMode.ABSOLUTE)
            .steps([models.Threshold(value=None, color=GREEN), *(_limit(*each) for each in panel.limits)])
        )
    )
    if panel.most is not None:
        built = built.min(0).max(panel.most)
    if panel.words:
        results = {
            value: models.ValueMappingResult(text=text, color=color, index=index)
            for index, (value, text, color) in enumerate(panel.words)
        }
        built = built.mappings([models.ValueMap(options=results)])
    if panel.leads_to:
        label = panel.leads_to
        address = (
            f"/d/easel-{label}?var-{label}=${{__field.labels.{label}}}"
            "&var-datasource=${datasource}&${__url_time_range}"
        )
        built = built.data_links(
            [dashboard.DashboardLink(f"Look at this {label}").url(address).target_blank(False)]
        )
    whole: models.Panel = built.build()
    whole.targets = [_target(query, panel.kind, ascii_uppercase[i]) for i, query in enumerate(panel.queries)]
    return whole


def _limit(value: float, color: str) -> models.Threshold:
    return models.Threshold(value=value, color=color)


def _target(query: Query, kind: Kind, reference: str) -> prometheus.Dataquery:
    shape = {Kind.TABLE: "table", Kind.HEAT: "heatmap"}.get(kind, "time_series")
    newest = kind in _NEWEST and kind is not Kind.NUMBER
    return prometheus.Dataquery(
        expr=query.expr,
        instant=newest,
        range_val=not newest,
        editor_mode=prometheus.QueryEditorMode.CODE,
        format_val=prometheus.PromQueryFormat(shape),
        legend_format=query.legend or "__auto",
        ref_id=reference,
        datasource=_SOURCE,
    )


def _drawn(panel: Panel) -> Any:
    return {
        Kind.GRAPH: _graph,
        Kind.NUMBER: _number,
        Kind.BARS: _bars,
        Kind.STATES: _states,
        Kind.HEAT: _heat,
        Kind.TABLE: _table,
    }[panel.kind](panel)


def _graph(panel: Panel) -> timeseries.Panel:
    drawn = (
        timeseries.Panel()
        .line_width(1)
        .fill_opacity(30 if panel.stacked else 8)
        .show_points(common_models.VisibilityMode.NEVER)
        .axis_soft_min(0)
        .legend(
            common.VizLegendOptions()
            .display_mode(common_models.LegendDisplayMode.LIST)
            .placement(common_models.LegendPlacement.BOTTOM)
            .show_legend(True)
        )
        .tooltip(
            common.VizTooltipOptions()
            .mode(common_models.TooltipDisplayMode.MULTI)
            .sort(common_models.SortOrder.DESCENDING)
        )
    )
    if panel.stacked:
        drawn = drawn.stacking(common.StackingConfig().mode(common_models.StackingMode.NORMAL).group("A"))
    if panel.steps:
        drawn = drawn.line_interpolation(common_models.LineInterpolation.STEP_AFTER)
    if panel.limits:
        drawn = drawn.thresholds_style(
            common.GraphThresholdsStyleConfig().mode(common_models.GraphTresholdsStyleMode.DASHED)
        )
    return drawn


def _newest() -> common.ReduceDataOptions:
    return common.ReduceDataOptions().calcs(["lastNotNull"]).values(False).fields("")


def _number(_: Panel) -> stat.Panel:
    return (
        stat.Panel()
        .reduce_options(_newest())
        .color_mode(common_models.BigValueColorMode.VALUE)
        .graph_mode(common_models.BigValueGraphMode.AREA)
        .no_value("–")
    )


def _bars(_: Panel) -> bargauge.Panel:
    return (
        bargauge.Panel()
        .reduce_options(_newest())
        .orientation(common_models.VizOrientation.HORIZONTAL)
        .display_mode(common_models.BarGaugeDisplayMode.BASIC)
        .min(0)
    )


def _states(_: Panel) -> statetimeline.Panel:
    return (
        statetimeline.Panel()
        .merge_values(True)
        .show_value(common_models.VisibilityMode.NEVER)
        .row_height(0.8)
        .fill_opacity(70)
    )


def _heat(panel: Panel) -> heatmap.Panel:
    return (
        heatmap.Panel()
        .calculate(False)
        .color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(64))
        .y_axis(heatmap.YAxisConfig().unit(panel.unit.value))
        .scale_distribution(common.ScaleDistributionConfig().type(common_models.ScaleDistribution.LINEAR))
    )


def _table(_: Panel) -> table.Panel:
    hidden = dict.fromkeys(("Time", "Value", "__name__", "job"), True)
    return (
        table.Panel()
        .show_header(True)
        .transformations([models.DataTransformerConfig(id_val="organize", options={"excludeByName": hidden})])
    )


def _variable(variable: Variable) -> dashboard.QueryVariable:
    built = (
        dashboard.QueryVariable(variable.label)
        .label(variable.label.capitalize())
        .datasource(_SOURCE)
        .query({"query": variable.query, "refId": variable.label})
        .refresh(models.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(models.VariableSort.ALPHABETICAL_ASC)
    )
    if variable.single:
        return built
    return (
        built.multi(True)
        .include_all(True)
        .all_value(".*")
        .current(models.VariableOption(selected=True, text="All", value="$__all"))
    )
