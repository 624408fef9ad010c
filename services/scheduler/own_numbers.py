"""What the scheduler counts about itself, told to metrics."""

from libs.telemetry.reporting import Reporter, Sample
from services.scheduler.agents.sessions import Sessions
from services.scheduler.ledger import Ledger
from services.scheduler.reconcile.reconciler import Reconciler
from services.scheduler.settings import Settings


def reporter(settings: Settings, ledger: Ledger, reconciler: Reconciler, sessions: Sessions) -> Reporter:
    """Reports as long as it runs; without an address of metrics it does nothing."""

    def samples() -> list[Sample]:
        commits, turns = ledger.commits, reconciler.turns
        return [
            Sample("easel_scheduler_commits", commits.times),
            Sample("easel_scheduler_commit_seconds", commits.seconds),
            Sample("easel_scheduler_commit_failures", commits.failures),
            Sample("easel_scheduler_turns", turns.times),
            Sample("easel_scheduler_turn_seconds", turns.seconds),
            Sample("easel_scheduler_agents", len(sessions.linked)),
            Sample("easel_scheduler_pending_instances", reconciler.pending),
        ]

    token = settings.join_token_file.read_text().strip()
    return Reporter(settings.metrics, token, "scheduler", "scheduler", samples)
