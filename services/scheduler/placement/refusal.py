"""Why no node can take an instance: one sentence per group of nodes, with counts."""

import numpy as np

from services.scheduler.placement.ask import Ask, Unplaced
from services.scheduler.placement.columns import Columns, Ints, Standing
from services.scheduler.placement.framework import Verdict
from services.scheduler.placement.rules import FILTERS
from services.scheduler.placement.snapshot import Snapshot
from services.scheduler.placement.words import counted

NAMED_GROUPS = 3


def refusal(ask: Ask, snapshot: Snapshot) -> Unplaced:
    """The sentences for the asked resource group and for all others. Call when nothing fits."""
    columns = snapshot.columns
    present = columns.standing != Standing.ABSENT
    asked = columns.group == columns.groups.get(ask.resource_group, -1)
    inside = _inside(ask, columns, np.flatnonzero(present & asked))
    others = _outside(ask, columns, np.flatnonzero(present & ~asked))
    reasons = (inside, others) if others else (inside,)
    return Unplaced(ask, reasons, f"no node fits: {inside}")


def verdicts(ask: Ask, snapshot: Snapshot, node: str) -> dict[str, Verdict]:
    """What each filter says of one node, by the rule's name."""
    view = snapshot.view(node, ask.service)
    return {rule.name: rule.verdict(ask, view) for rule in FILTERS}


def _inside(ask: Ask, columns: Columns, rows: Ints) -> str:
    if not len(rows):
        return f"{ask.among or ask.resource_group}: no nodes"
    total = len(rows)
    phrases: list[str] = []
    for rule in FILTERS:
        mask = rule.mask(ask, columns)
        if mask is None:
            continue
        let_through = mask[rows]
        if not let_through.all():
            phrases.extend(rule.summary(ask, columns, rows[~let_through]))
            rows = rows[let_through]
    return f"{ask.among or ask.resource_group}: {counted(total, 'node')}: {', '.join(phrases)}"


def _outside(ask: Ask, columns: Columns, rows: Ints) -> str:
    if not len(rows):
        return ""
    ids = set(np.unique(columns.group[rows]).tolist())
    groups = sorted(name for name, number in columns.groups.items() if number in ids)
    named = ", ".join(groups[:NAMED_GROUPS])
    more = f" and {len(groups) - NAMED_GROUPS} more" if len(groups) > NAMED_GROUPS else ""
    return f"{named}{more}: {counted(len(rows), 'node')}: not in resource group {ask.resource_group}"
