"""A node has as many whole, healthy, free GPUs of the asked model as an instance asks for."""

import numpy as np

from services.scheduler.placement.ask import Ask
from services.scheduler.placement.columns import Columns, Ints, Mask
from services.scheduler.placement.framework import FITS, Verdict, rejected
from services.scheduler.placement.names import model_matches
from services.scheduler.placement.node_view import NodeView
from services.scheduler.placement.words import counted, verb


class Gpus:
    """Refuses nodes with fewer free GPUs than asked. An unhealthy or fenced GPU is never free."""

    name = "gpus"

    def verdict(self, ask: Ask, node: NodeView) -> Verdict:
        model = ask.gpu_model
        free = sum(not model or model_matches(model, gpu.model) for gpu in node.free_gpus)
        if ask.gpus <= free:
            return FITS
        out = sum(not gpu.healthy for gpu in node.node.gpus)
        return rejected(f"lacks {_wanted(ask)} ({free} free{_out(out)})")

    def mask(self, ask: Ask, columns: Columns) -> Mask | None:
        if ask.gpus <= 0:
            return None
        return np.greater_equal(columns.free_of_model(ask.gpu_model), ask.gpus)

    def summary(self, ask: Ask, columns: Columns, rows: Ints) -> tuple[str, ...]:
        most = int(columns.free_of_model(ask.gpu_model)[rows].max())
        out = _out(int(columns.gpus_out[rows].sum()))
        return (f"{verb(len(rows), 'lacks', 'lack')} {_wanted(ask)} (most free {most}{out})",)


def _wanted(ask: Ask) -> str:
    return counted(ask.gpus, f"{ask.gpu_model} GPU".lstrip())


def _out(count: int) -> str:
    return f"; {counted(count, 'GPU')} unhealthy or fenced" if count else ""
