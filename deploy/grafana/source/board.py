"""The words that dashboards are written in: boards of rows of panels, each with the queries it draws."""

from dataclasses import dataclass, field
from enum import StrEnum

GREEN, YELLOW, ORANGE, RED, BLUE, GREY = "green", "yellow", "orange", "red", "blue", "text"
# Width and height of the grid are in Grafana's units: 24 columns, 30 pixels a row.
COLUMNS = 24


class Kind(StrEnum):
    """How a panel draws."""

    GRAPH = "graph"
    NUMBER = "number"
    BARS = "bars"
    STATES = "states"
    HEAT = "heat"
    TABLE = "table"


class Unit(StrEnum):
    """Grafana's names of units."""

    NONE = "none"
    COUNT = "short"
    REQUESTS = "reqps"
    PER_SECOND = "ops"
    SECONDS = "s"
    SHARE = "percentunit"
    BYTES = "bytes"
    BYTES_A_SECOND = "binBps"
    WATTS = "watt"
    CELSIUS = "celsius"
    HERTZ = "hertz"


@dataclass(frozen=True)
class Query:
    """One expression; `legend` names its series by their labels, as in "{{service}}"."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """`about` is shown beside its title. `limits` colour it from a value on. `leads_to` is the label whose
    dashboard a series leads to."""

    kind: Kind
    title: str
    about: str
    unit: Unit
    queries: tuple[Query, ...]
    width: int
    height: int
    limits: tuple[tuple[float, str], ...] = ()
    stacked: bool = False
    steps: bool = False
    most: float | None = None
    words: tuple[tuple[str, str, str], ...] = ()
    leads_to: str = ""


@dataclass(frozen=True)
class Row:
    """Panels under one heading."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True)
class Variable:
    """What a reader chooses: the values of a label. One that is not `single` may be several, or all."""

    label: str
    metric: str
    within: str = ""
    single: bool = False

    @property
    def query(self) -> str:
        """What Grafana asks Prometheus for."""
        return f"label_values({self.metric}{{{self.within}}}, {self.label})"


@dataclass(frozen=True)
class Board:
    """One dashboard; its uid, and with it its address, is `easel-NAME` and does not change."""

    name: str
    title: str
    about: str
    rows: tuple[Row, ...]
    variables: tuple[Variable, ...] = field(default=())


def graph(
    title: str, about: str, unit: Unit, *queries: Query, width: int = 8, height: int = 8, **more: object
) -> Panel:
    """Lines over time."""
    return Panel(Kind.GRAPH, title, about, unit, queries, width, height, **more)  # type: ignore[arg-type]


def number(
    title: str, about: str, unit: Unit, expr: str, *limits: tuple[float, str], width: int = 4
) -> Panel:
    """The newest value, large, above its course."""
    return Panel(Kind.NUMBER, title, about, unit, (Query(expr),), width, 4, limits)


def bars(
    title: str, about: str, unit: Unit, *queries: Query, width: int = 8, height: int = 8, **more: object
) -> Panel:
    """The newest values beside one another."""
    return Panel(Kind.BARS, title, about, unit, queries, width, height, **more)  # type: ignore[arg-type]


def states(
    title: str, about: str, query: Query, *words: tuple[str, str, str], width: int = 8, height: int = 8
) -> Panel:
    """What holds when: a bar for each series. `words` are value, text and colour."""
    return Panel(Kind.STATES, title, about, Unit.NONE, (query,), width, height, words=words)


def heat(title: str, about: str, unit: Unit, expr: str, width: int = 8, height: int = 8) -> Panel:
    """The buckets of a histogram over time."""
    return Panel(Kind.HEAT, title, about, unit, (Query(expr, "{{le}}"),), width, height)


def table(title: str, about: str, query: Query, width: int = 12, height: int = 8) -> Panel:
    """The labels of the newest series, a row each."""
    return Panel(Kind.TABLE, title, about, Unit.NONE, (query,), width, height)
