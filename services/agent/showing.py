"""How what happens to an instance becomes the status that the scheduler is told."""

from dataclasses import replace

from libs.domain.progress import Progress
from libs.domain.scaling import StartPhase
from libs.domain.states import InstanceState
from services.agent.board import Board, Status
from services.agent.health.remembered import Readiness
from services.agent.health.verdict import Health
from services.agent.observed import Wanted
from services.agent.runtime.port import Attempt, Running
from services.agent.start_phases import StartPhases
from services.agent.steps import End, Hold
from services.agent.workload import Workload


class Showing:
    """Puts statuses on the board. Each says all there is to say of the instance, but for its last exit."""

    def __init__(self, board: Board) -> None:
        self._board, self._starts = board, StartPhases()

    def begins(self, instance: str) -> None:
        """Its program is to be started; from here on its phases are measured."""
        self._starts.begin(instance)

    def started_up(self, instance: str) -> tuple[StartPhase, ...]:
        """It is ready for the first time in its run: how long each phase took."""
        return self._starts.ready(instance)

    def phase(self, workload: Workload, attempt: Attempt, state: InstanceState, why: str) -> None:
        self._starts.enter(workload.id, state)
        self._board.put(
            Status(
                id=workload.id,
                epoch=workload.epoch,
                state=state,
                why=why,
                restarts=attempt.restarts,
                last_exit=self._board.get(workload.id).last_exit,
                spec_hash=workload.spec_hash,
                run=workload.run,
            )
        )

    def progress(self, instance: str, progress: Progress) -> None:
        self._board.put(replace(self._board.get(instance), progress=progress))

    def held(self, hold: Hold, wanted: Wanted) -> None:
        self._board.put(
            Status(
                id=hold.id,
                epoch=wanted.epoch,
                state=hold.state,
                why=hold.why,
                restarts=hold.restarts,
                last_exit=hold.last_exit or self._board.get(hold.id).last_exit,
                spec_hash=wanted.spec_hash,
                cause=hold.cause,
                run=hold.run,
            )
        )

    def started(self, running: Running, epoch: int, before: Readiness | None) -> None:
        """A run that was not shown yet. `before` is what an earlier agent knew of it."""
        ready = before is not None and before.ready
        self._board.put(
            Status(
                id=running.id,
                epoch=epoch,
                state=InstanceState.RUNNING if before is not None else running.phase,
                ready=ready,
                address=running.address,
                port=running.port,
                restarts=running.attempt.restarts,
                last_exit=self._board.get(running.id).last_exit,
                started_at=running.started_at,
                ready_at=before.ready_at if before is not None else None,
                phases=before.phases if before is not None else (),
                spec_hash=running.spec_hash,
                run=running.run,
            )
        )

    def kept(self, running: Running, epoch: int) -> None:
        """One that is shown already, and may have a newer assignment."""
        self._board.put(
            replace(self._board.get(running.id), epoch=epoch, address=running.address, port=running.port)
        )

    def health(self, running: Running, health: Health, readiness: Readiness | None) -> None:
        """`readiness` is None for a run that was never ready."""
        state = InstanceState.RUNNING if readiness is not None else running.phase
        if health.warming_up:
            self._starts.enter(running.id, InstanceState.WARMING_UP)
        self._board.put(
            replace(
                self._board.get(running.id),
                state=InstanceState.WARMING_UP if health.warming_up else state,
                ready=health.ready,
                why=health.finding.why if health.finding is not None else health.doing,
                cause=health.finding.cause if health.finding is not None else None,
                ready_at=readiness.ready_at if readiness is not None else None,
                phases=readiness.phases if readiness is not None else (),
            )
        )

    def program_ended(self, instance: str) -> None:
        self._board.put(replace(self._board.get(instance), ready=False, why="its program ended"))

    def found_ended(self, running: Running) -> None:
        """Before the first word of what is wanted, nothing is done about it."""
        assert running.exit is not None  # noqa: S101
        self._board.put(
            Status(
                id=running.id,
                epoch=running.epoch,
                state=InstanceState.CRASH_LOOP_BACK_OFF,
                why=running.exit.why,
                last_exit=running.exit.why,
                restarts=running.attempt.restarts,
                spec_hash=running.spec_hash,
                cause=running.exit.cause,
                run=running.run,
            )
        )

    def stopping(self, instance: str, why: str) -> None:
        self._board.put(
            replace(
                self._board.get(instance),
                state=InstanceState.TERMINATING,
                ready=False,
                why=why,
                progress=None,
                connections=0,
            )
        )

    def ending(self, end: End) -> None:
        """Its program ends and is started anew; the instance stays."""
        before = self._board.get(end.workload.id)
        state = InstanceState.STARTING if end.cause is None else before.state
        self._board.put(
            replace(
                before,
                epoch=end.workload.epoch,
                state=InstanceState.CRASH_LOOP_BACK_OFF if end.backs_off else state,
                ready=False,
                why=end.why,
                cause=end.cause,
            )
        )

    def waiting(self, instance: str, why: str) -> None:
        self._board.put(replace(self._board.get(instance), why=why))

    def connections(self, instance: str, connections: int) -> None:
        self._board.put(replace(self._board.get(instance), connections=connections))

    def gone(self, instance: str, epoch: int | None = None) -> None:
        self._starts.forget(instance)
        self._board.put_gone(instance, self._board.get(instance).epoch if epoch is None else epoch)
