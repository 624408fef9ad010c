"""Writes every dashboard as the JSON that Grafana reads: `python -m deploy.grafana.source [DIRECTORY]`."""

import sys
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from deploy.grafana.source import BOARDS
from deploy.grafana.source.render import rendered

DASHBOARDS = Path(__file__).parents[1] / "dashboards"


def write(directory: Path) -> None:
    """One file a dashboard, named after it."""
    for board in BOARDS:
        text = JSONEncoder(sort_keys=True, indent=2, ensure_ascii=False).encode(rendered(board))
        (directory / f"{board.name}.json").write_text(text + "\n")


if __name__ == "__main__":
    write(Path(sys.argv[1]) if len(sys.argv) > 1 else DASHBOARDS)
