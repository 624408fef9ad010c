"""Jobs of a schedule that are due while a lock holds their service: they say so until it is unlocked."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from libs.db.changes import Changes
from libs.domain.errors import FailedPrecondition
from libs.domain.states import SafetyLock
from services.scheduler.ledger import Ledger
from services.scheduler.scaling.apply import Decision, applied
from services.scheduler.world import World


async def carry_out(ledger: Ledger, decision: Decision, clock: Callable[[], datetime]) -> None:
    """Commits a decision. Raises what `applied` raises; jobs that a lock holds back are told why before."""
    try:
        await ledger.change(lambda world: applied(world, decision, clock()))
    except FailedPrecondition as refused:
        why = str(refused)
        await ledger.change(lambda world: held_back(world, decision, why))
        raise


def held_back(world: World, decision: Decision, why: str) -> Changes:
    """The jobs that a lock does not let change the service, with the sentence of the refusal; they stay due.
    Nothing once they have it: they are asked for again every second. Pure."""
    service, known = world.services.get(decision.service), world.cronscalers.get(decision.service)
    if service is None or service.deleting or service.safety_lock is not SafetyLock.ALL:
        return Changes()
    if known is None or known.revision != decision.cronscaler_revision:
        return Changes()
    due = {run.name for run in decision.jobs if run.state == "Succeed"}
    told = (
        replace(job, state="Submitted", message=f"it is due: {why}") if job.name in due else job
        for job in known.jobs
    )
    after = replace(known, jobs=tuple(told))
    return Changes(put=(after,)) if after != known else Changes()
