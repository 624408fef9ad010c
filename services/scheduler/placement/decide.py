"""The decision: filter, score, choose. Pure; a refusal's sentences are made only when nothing fits."""

from collections.abc import Iterable

import numpy as np

from libs.domain.records import Gpu
from services.scheduler.placement.ask import Ask, Placement, Unplaced
from services.scheduler.placement.columns import Columns, Mask
from services.scheduler.placement.names import model_matches
from services.scheduler.placement.node_view import port_range
from services.scheduler.placement.refusal import refusal
from services.scheduler.placement.rules import FILTERS, SCORES
from services.scheduler.placement.rules.ports import choose_port
from services.scheduler.placement.snapshot import MAX_NODES, Snapshot


def place(ask: Ask, snapshot: Snapshot) -> Placement | Unplaced:
    """The best node for one instance, and its GPUs and host port there. Does not change the snapshot.

    Equal nodes are told apart by name, so the same question gets the same answer.
    """
    columns = snapshot.columns
    fits = fitting(ask, columns)
    row = best_row(ask, columns, fits)
    if row is None:
        return refusal(ask, snapshot)
    name = snapshot.name(row)
    node = snapshot.node(name)
    port = 0
    if columns.hands_out_ports[row]:
        port = choose_port(ask.port, port_range(node), columns.taken_ports[row])
    gpus = choose_gpus(ask, snapshot.free_gpus(name)) if ask.gpus else ()
    why = f"{name} is the best of {np.count_nonzero(fits)} that fit"
    if ask.among:
        why = f"{why} among {ask.among}"
    return Placement(ask, name, gpus, port, why)


def place_all(asks: Iterable[Ask], snapshot: Snapshot) -> list[Placement | Unplaced]:
    """Places one after the other; each placement is assumed in the snapshot before the next is sought."""
    answers = []
    for ask in asks:
        answer = place(ask, snapshot)
        if isinstance(answer, Placement):
            snapshot.assume(answer)
        answers.append(answer)
    return answers


def fitting(ask: Ask, columns: Columns) -> Mask:
    """True for each row that every filter lets through."""
    fits: Mask | None = None
    for rule in FILTERS:
        mask = rule.mask(ask, columns)
        if mask is not None:
            fits = mask if fits is None else fits & mask
    return fits if fits is not None else columns.open


def best_row(ask: Ask, columns: Columns, fits: Mask) -> int | None:
    """The row with the highest sum of weighted scores among those that fit."""
    if not columns.rows:
        return None
    total = columns.tie_break + 1
    for rule in SCORES:
        weight = rule.weight(ask)
        if weight:
            total += rule.scores(ask, columns) * (weight * MAX_NODES)
    total *= fits
    row = int(total.argmax())
    return row if total[row] else None


def choose_gpus(ask: Ask, free: tuple[Gpu, ...]) -> tuple[str, ...]:
    """UUIDs of the asked number of GPUs: of one model where that is possible, the scarcest that suffices."""
    matching = [gpu for gpu in free if not ask.gpu_model or model_matches(ask.gpu_model, gpu.model)]
    by_model: dict[str, list[Gpu]] = {}
    for gpu in matching:
        by_model.setdefault(gpu.model, []).append(gpu)
    enough = [gpus for gpus in by_model.values() if len(gpus) >= ask.gpus]
    chosen = min(enough, key=lambda gpus: (len(gpus), gpus[0].model)) if enough else matching
    return tuple(gpu.uuid for gpu in sorted(chosen, key=lambda gpu: (gpu.index, gpu.uuid))[: ask.gpus])
