"""Make reports when they are due or asked for, keep them, and send them.

A scheduled report is one for its time, whoever makes it: its row is claimed
before it is made. One that was missed is made once, for the last time that it
was due, and covers what lies since the report before. Sending is tried again
with growing pauses, target by target; a crash between sending and writing it
down sends that one twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from orchestrator.domain.availability import Span
from orchestrator.domain.errors import InvalidSetting
from orchestrator.domain.maintenance import parse_cron
from orchestrator.domain.report import (
    Delivery,
    Fleet,
    KeptReport,
    Language,
    Report,
    ReportHead,
    ReportKind,
)
from orchestrator.domain.schedule import latest_fire
from orchestrator.ports import Clock, IdFactory, Message, Notifier, UnitOfWork, UnitOfWorkFactory
from orchestrator.services.build_report import build_report
from orchestrator.services.retry import Retry

SETTLE = timedelta(minutes=5)
"""How long after it was due a report is made: the last hour is closed by then."""

STALE = timedelta(minutes=15)
"""When a claim is taken over: its owner died while it made the report."""

PAUSES = tuple(timedelta(minutes=m) for m in (1, 5, 15, 60, 240))
"""Between the attempts to send; there is one more attempt than pauses."""

_SENDING = timedelta(minutes=10)

Render = Callable[[Report, Language], Message]


@dataclass(frozen=True, slots=True)
class Plan:
    """``cron`` empty: no schedule. ``keep`` is for how long reports are kept."""

    cron: str = ""
    timezone: str = "UTC"
    language: Language = Language.ENGLISH
    keep: timedelta = timedelta(days=400)


def plan(cron: str, timezone: str, language: str, keep_days: int) -> Plan:
    """A plan from settings; InvalidSetting says what is wrong with them."""
    try:
        ZoneInfo(timezone)
    except (KeyError, OSError, ValueError):
        raise InvalidSetting(
            f"there is no time zone {timezone!r}: write one such as Asia/Taipei or UTC"
        ) from None
    try:
        if cron:
            parse_cron(cron)
    except ValueError as error:
        raise InvalidSetting(f"--report-cron {cron!r}: {error}") from None
    return Plan(cron, timezone, Language(language), timedelta(days=keep_days))


class Reports:
    """The use cases."""

    def __init__(
        self,
        units: UnitOfWorkFactory,
        clock: Clock,
        ids: IdFactory,
        retry: Retry,
        notifier: Notifier,
        render: Render,
        plan: Plan,
        version: str,
    ) -> None:
        self._units = units
        self._clock = clock
        self._ids = ids
        self._retry = retry
        self._notifier = notifier
        self._render = render
        self._plan = plan
        self._version = version

    def run_due(self) -> Sequence[ReportHead]:
        """Make the scheduled report if it is due, send what waits, forget what is old."""
        made = self._make_due()
        sent = self._send_waiting()
        self._retry(self._forget)
        return [head for head in (made, *sent) if head is not None]

    def run(self, period: Span, language: Language | None = None, send: bool = False) -> KeptReport:
        """Make one now; with ``send`` it goes out before this returns."""
        now = self._clock.now()
        report_id = self._ids.new_id()
        head = ReportHead(
            report_id,
            ReportKind.MANUAL,
            period.since,
            period.until,
            language or self._plan.language,
            None,
        )
        self._retry(lambda: self._claim(head, f"manual:{report_id}", now))
        kept = self._make(head, send)
        if send:
            head = self._send(kept.head) or kept.head
            return replace(kept, head=head)
        return kept

    def targets(self) -> Sequence[str]:
        """Where reports are sent; none where the broker was told of none."""
        return self._notifier.targets()

    def _make_due(self) -> ReportHead | None:
        now = self._clock.now()
        due = self._due(now)
        if due is None:
            return None
        head = ReportHead(
            self._ids.id_for("report", due.until.isoformat()),
            ReportKind.SCHEDULED,
            due.since,
            due.until,
            self._plan.language,
            None,
        )
        if not self._retry(lambda: self._claim(head, f"scheduled:{due.until.isoformat()}", now)):
            return None
        return self._make(head, send=True).head

    def _due(self, now: datetime) -> Span | None:
        """The period of the report that should be there and is not."""
        if not self._plan.cron:
            return None
        fire = latest_fire(self._plan.cron, self._plan.timezone, now - SETTLE)
        if fire is None:
            return None
        with self._units(read_only=True) as uow:
            last = uow.reports.latest(ReportKind.SCHEDULED, now + SETTLE)
            first_watch = uow.health.first_watch()
        if last is not None and last.head.until >= fire:
            return None
        if first_watch is None or first_watch >= fire:
            return None
        before = latest_fire(self._plan.cron, self._plan.timezone, fire - timedelta(minutes=1))
        since = last.head.until if last is not None else before or fire - timedelta(days=7)
        return Span(since, fire)

    def _claim(self, head: ReportHead, key: str, now: datetime) -> bool:
        with self._units() as uow:
            claimed = uow.reports.claim(head, key, now, now - STALE)
            uow.commit()
        return claimed

    def _make(self, head: ReportHead, send: bool) -> KeptReport:
        period = Span(head.since, head.until)
        with self._units(read_only=True) as uow:
            report = build_report(
                uow,
                period,
                self._clock.now(),
                self._plan.timezone,
                self._version,
                self._before(uow, head.until),
            )
        message = self._render(report, head.language)
        targets = self._notifier.targets() if send else ()
        now = self._clock.now()
        deliveries = [Delivery(target) for target in targets]
        made = replace(head, made_at=now, deliveries=deliveries)
        kept = KeptReport(made, report, message.html, message.text)
        self._retry(lambda: self._keep(kept, now if targets else None))
        return kept

    def _before(self, uow: UnitOfWork, until: datetime) -> tuple[datetime, Fleet] | None:
        """The report that this one is compared with: the last scheduled one, or any."""
        found = uow.reports.latest(ReportKind.SCHEDULED, until) or uow.reports.latest(None, until)
        return None if found is None else (found.head.until, found.report.fleet)

    def _keep(self, kept: KeptReport, next_attempt: datetime | None) -> None:
        with self._units() as uow:
            uow.reports.finish(kept, next_attempt)
            uow.commit()

    def _send_waiting(self) -> list[ReportHead | None]:
        with self._units(read_only=True) as uow:
            waiting = uow.reports.waiting(self._clock.now())
        return [self._send(head) for head in waiting]

    def _send(self, head: ReportHead) -> ReportHead | None:
        """Try every target that has not got it; None where another broker is at it."""
        now = self._clock.now()
        if not self._retry(lambda: self._claim_sending(head, now)):
            return None
        with self._units(read_only=True) as uow:
            kept = uow.reports.get(head.id)
        message = self._render(kept.report, kept.head.language)
        tried = [self._deliver(each, message) for each in kept.head.deliveries]
        left = [each for each in tried if each.sent_at is None]
        attempt = max((each.attempts for each in left), default=0)
        again = self._clock.now() + PAUSES[attempt - 1] if 0 < attempt <= len(PAUSES) else None
        sent = replace(kept, head=replace(kept.head, deliveries=tried))
        self._retry(lambda: self._keep(sent, again))
        return sent.head

    def _claim_sending(self, head: ReportHead, now: datetime) -> bool:
        with self._units() as uow:
            claimed = uow.reports.claim_sending(head.id, now, now + _SENDING)
            uow.commit()
        return claimed

    def _deliver(self, delivery: Delivery, message: Message) -> Delivery:
        if delivery.sent_at is not None:
            return delivery
        problem = self._notifier.send(delivery.target, message)
        return replace(
            delivery,
            attempts=delivery.attempts + 1,
            sent_at=self._clock.now() if problem is None else None,
            problem=problem or "",
        )

    def _forget(self) -> None:
        with self._units() as uow:
            uow.reports.expire(self._clock.now() - self._plan.keep)
            uow.commit()
