"""The condition of every server and site, and the events that people are told.

A server that falls silent is told about once another of its site has answered
since: until then it may be the site. A whole site that is silent is one event,
and its servers none. During a server's maintenance its events are marked, and
what is still wrong afterwards is told then.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from orchestrator.domain.event import Event
from orchestrator.domain.health import Condition, Finding
from orchestrator.domain.server import Health, Server, ServerRecord

_AFTER_A_SITE = timedelta(seconds=60)
"""How long the servers of a site that answers again may take to do so each."""


@dataclass(frozen=True, slots=True)
class _Held:
    """An event that waits for another server's answer after ``after``."""

    event: Event
    after: datetime
    not_before: datetime


@dataclass(slots=True)
class _Site:
    servers: set[str] = field(default_factory=set)
    answered_at: datetime | None = None
    answered_by: str = ""
    silent: bool = False
    held: dict[str, _Held] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)


class FleetWatch:
    """Thread-safe; ``conclude`` is told of each poll once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[str, Server] = {}
        self._conditions: dict[str, Condition] = {}
        self._sites: dict[str, _Site] = {}
        self._muted: set[str] = set()

    def follow(self, records: Iterable[ServerRecord]) -> None:
        """Watch exactly the servers of the inventory; new ones as the store knew them."""
        present = {r.server.name: r for r in records if r.present}
        with self._lock:
            before = self._conditions
            self._servers = {name: record.server for name, record in present.items()}
            self._conditions = {
                name: before.get(name)
                or Condition(record.health, record.health_reason, record.health_since)
                for name, record in present.items()
            }
            self._muted &= present.keys()
            known = set(self._sites)
            for site in self._sites.values():
                site.servers.clear()
            for server in self._servers.values():
                self._sites.setdefault(server.site, _Site()).servers.add(server.name)
            for name in self._sites.keys() - known:
                # A silence that the store knows of has been told about.
                site = self._sites[name]
                site.silent = self._all_silent(site.servers)
                site.covered = set(site.servers) if site.silent else set()

    def condition(self, server: str) -> Condition:
        """What is held true of a server now."""
        with self._lock:
            return self._conditions.get(server, Condition())

    def healths(self) -> Mapping[str, Health]:
        """Every server's health."""
        with self._lock:
            return {name: each.health for name, each in self._conditions.items()}

    def conclude(
        self, server: str, finding: Finding, at: datetime
    ) -> tuple[Condition, Sequence[Event]]:
        """Count one poll; the condition after it, and what there is to tell."""
        with self._lock:
            if server not in self._servers:
                return Condition(finding.health, finding.reason, at), ()
            before = self._conditions[server]
            after = self._conditions[server] = before.after(finding, at)
            site = self._sites[self._servers[server].site]
            if finding.health is not Health.UNREACHABLE:
                site.answered_at, site.answered_by = at, server
            events = list(self._unmute(server, after, at))
            if after.health is not before.health:
                events += self._changed(server, site, before, after, at)
            events += self._site(site, self._servers[server].site, at)
            return after, events

    def _changed(
        self, server: str, site: _Site, before: Condition, after: Condition, at: datetime
    ) -> Iterable[Event]:
        event = _server_event(server, before, after, at)
        if self._in_maintenance(server, at):
            self._muted.add(server)
            yield Event(
                event.at,
                event.kind,
                event.message,
                server=server,
                data={**event.data, "maintenance": True},
            )
        elif after.health is Health.UNREACHABLE:
            failed_at = before.doubted_at or at
            site.held[server] = _Held(event, failed_at, failed_at)
        elif site.held.pop(server, None) is None and server not in site.covered:
            yield event
        site.covered -= {server} if after.health is not Health.UNREACHABLE else set()

    def _site(self, site: _Site, name: str, at: datetime) -> Iterable[Event]:
        if self._is_silent(site, at):
            if not site.silent:
                watched = self._watched(site, at)
                site.silent = True
                site.held.clear()
                site.covered = set(watched)
                yield _site_event(name, len(watched), len(watched), at)
            return
        if not site.silent and not site.held:
            return
        watched = self._watched(site, at)
        if site.silent and site.answered_at == at:
            site.silent = False
            quiet = sorted(each for each in site.covered if each in site.servers)
            yield _site_event(name, len(quiet), len(watched), at)
            for each in quiet:
                event = _server_event(each, Condition(), self._conditions[each], at)
                site.held[each] = _Held(event, at, at + _AFTER_A_SITE)
            site.covered.clear()
        for each in sorted(site.held):
            held = site.held[each]
            alone = len(watched) < 2
            last = site.answered_at
            answered = last is not None and last > held.after and site.answered_by != each
            if each not in site.servers or (at >= held.not_before and (alone or answered)):
                del site.held[each]
                yield held.event

    def _unmute(self, server: str, after: Condition, at: datetime) -> Iterable[Event]:
        if server not in self._muted or after.doubts or self._in_maintenance(server, at):
            return
        self._muted.discard(server)
        if after.health is not Health.UP:
            yield _server_event(server, Condition(), after, at)

    def _in_maintenance(self, server: str, at: datetime) -> bool:
        found = self._servers.get(server)
        return found is not None and found.maintenance_at(at) is not None

    def _watched(self, site: _Site, at: datetime) -> set[str]:
        return {each for each in site.servers if not self._in_maintenance(each, at)}

    def _is_silent(self, site: _Site, at: datetime) -> bool:
        """Whether none of several watched servers answers; of a site that lives the
        first look tells, for every poll asks."""
        for each in site.servers:
            silent = self._conditions[each].health is Health.UNREACHABLE
            if not silent and not self._in_maintenance(each, at):
                return False
        return len(self._watched(site, at)) > 1

    def _all_silent(self, servers: Iterable[str]) -> bool:
        found = [self._conditions[name].health for name in servers]
        return bool(found) and all(health is Health.UNREACHABLE for health in found)


def _server_event(server: str, before: Condition, after: Condition, at: datetime) -> Event:
    if before.health is Health.UNKNOWN and before.since is None and after.since not in (None, at):
        message = f"still {after.health.value}"
    else:
        message = f"{before.health.value} -> {after.health.value}"
    if after.reason:
        message += f": {after.reason}"
    data = {"before": before.health.value, "after": after.health.value, "reason": after.reason}
    return Event(at, "server_health", message, server=server, data=data)


def _site_event(site: str, silent: int, servers: int, at: datetime) -> Event:
    if silent == servers:
        message = f"site {site}: none of its {servers} servers answers"
    else:
        message = f"site {site}: it answers again, {silent} of {servers} servers not yet"
    data = {"site": site, "silent": silent, "servers": servers}
    return Event(at, "site_health", message, data=data)
