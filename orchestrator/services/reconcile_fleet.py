"""Bring the store in line with the servers at once, because somebody asks.

The same steps that a running broker takes by itself: poll every server, settle
the sessions whose processes are gone and those whose outcome is unknown, then
look for launches that nobody wants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.server import Health
from orchestrator.domain.session import Session
from orchestrator.ports import Clock, Executor, ServerGateway, UnitOfWorkFactory
from orchestrator.services.poll_schedule import Answer
from orchestrator.services.polling import Polling
from orchestrator.services.reconcile import Reconcile
from orchestrator.services.settle_sessions import SettleSessions
from orchestrator.services.sweep_servers import SweepServers

_Pending = tuple[str, Callable[[], object]]


@dataclass(frozen=True, slots=True)
class Done:
    """One thing that was found or done."""

    server: str | None
    session_id: str | None
    action: str
    note: str


class ReconcileFleet:
    """The use case; a running broker beside it does no harm."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        gateway: ServerGateway,
        clock: Clock,
        settle: SettleSessions,
        reconcile: Reconcile,
        sweep: SweepServers,
        executor: Executor,
    ) -> None:
        self._units = units
        self._gateway = gateway
        self._clock = clock
        self._settle = settle
        self._reconcile = reconcile
        self._sweep = sweep
        self._executor = executor

    def __call__(self) -> Sequence[Done]:
        """What was found and done, in that order."""
        done = list(self._poll())
        done += [
            Done(None, each.session_id, f"{each.before} -> {each.after}", each.note)
            for each in self._reconcile()
        ]
        done += [
            Done(each.server, each.session_id, each.action, each.note) for each in self._sweep()
        ]
        return done

    def _poll(self) -> Iterable[Done]:
        pending: dict[str, Callable[[], object]] = {}

        def once(session_id: str, settle: Callable[[], object]) -> None:
            """Several looks and several reasons are one thing to do."""
            pending.setdefault(session_id, settle)

        polling = Polling(
            self._units,
            self._gateway,
            self._clock,
            self._settle,
            once,
            interval=1,
        )
        polling.catch_up()
        present = [r.server.name for r in polling.beliefs.current.servers if r.present]
        names = [name for name in present if self._gateway.knows(name)]
        answers = zip(names, self._executor.map(polling.poll, names), strict=True)
        doubted = [name for name, answer in answers if answer is Answer.DOUBTED]
        self._executor.map(polling.poll, doubted)
        caught = polling.catch_up(at_once=True)
        for name in names:
            condition = polling.watch.condition(name)
            if condition.health is not Health.UP:
                yield Done(name, None, condition.health.value, condition.reason)
        for move in caught.moves:
            yield Done(None, move.session_id, f"{move.before} -> {move.after}", move.note)
        yield from self._executor.map(self._run, list(pending.items()))

    def _run(self, pending: _Pending) -> Done:
        session_id, settle = pending
        try:
            after = settle()
        except OrchestratorError as error:
            return Done(None, session_id, "not_settled", f"{error.code}: {error.message}")
        if not isinstance(after, Session):
            return Done(None, session_id, "unchanged", "somebody else is at it, or it runs on")
        return Done(after.server, session_id, f"-> {after.state}", after.end_detail or "it runs on")
