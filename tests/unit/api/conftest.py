"""The application on fakes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from orchestrator.api import ApiServices, Readiness, create_app
from orchestrator.domain.token import Role
from orchestrator.metrics import Metrics
from orchestrator.notify import render_report
from orchestrator.services.add_game import AddGame
from orchestrator.services.change_game import ChangeGame, RemoveGame
from orchestrator.services.check_server import CheckServer
from orchestrator.services.end_game import EndGame
from orchestrator.services.fleet_figures import ReadFleet
from orchestrator.services.give_up import GiveUp
from orchestrator.services.in_flight import InFlight
from orchestrator.services.manage_servers import ManageServers
from orchestrator.services.preview_placement import PreviewPlacement
from orchestrator.services.probe_servers import ProbeServers
from orchestrator.services.read_history import ReadHistory
from orchestrator.services.refused_ports import RefusedPorts
from orchestrator.services.reports import Plan, Reports
from orchestrator.services.retry import Retry
from orchestrator.services.roll_up import Keep
from orchestrator.services.start_game import StartGame
from orchestrator.services.tokens import Tokens
from orchestrator.store import Store
from orchestrator.transport import Totals
from orchestrator.web import create_blueprint
from tests.fakes import (
    FakeClock,
    FakeGateway,
    FakeNotifier,
    InlineExecutor,
    SequentialIds,
    fill,
    make_game,
    make_server,
)


@dataclass
class Desk:
    """The application, what is behind it, and a token of each role."""

    app: Flask
    store: Store
    gateway: FakeGateway
    clock: FakeClock
    tokens: dict[Role, str]
    readiness: list[Readiness]
    services: ApiServices
    metrics: Metrics
    calls: Totals
    notifier: FakeNotifier

    def call(
        self, method: str, path: str, role: Role | None = Role.ADMIN, **options: Any
    ) -> TestResponse:
        client: FlaskClient = self.app.test_client()
        headers = dict(options.pop("headers", {}))
        if role is not None:
            headers["Authorization"] = f"Bearer {self.tokens[role]}"
        return client.open(path, method=method, headers=headers, **options)

    def post(self, path: str, body: object, **options: Any) -> TestResponse:
        return self.call("POST", path, json=body, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        return self.call("GET", path, **options)


@pytest.fixture
def desk(store: Store) -> Desk:
    fill(store, [make_server("a"), make_server("b", slots=0)], [make_game()])
    gateway, clock, flights = FakeGateway(), FakeClock(), InFlight()
    units, retry = store.unit_of_work, Retry(clock)
    tokens = Tokens(units, clock)
    readiness, refused = [Readiness(True)], RefusedPorts(clock)
    ready: Callable[[], Readiness] = lambda: readiness[0]  # noqa: E731 - read when asked
    calls = Totals()
    notifier = FakeNotifier()
    metrics = Metrics("0", clock, ReadFleet(units), calls.rows, lambda _: "default")
    services = ApiServices(
        start_game=metrics.timed(
            StartGame(units, gateway, clock, SequentialIds(), retry, flights, refused)
        ),
        session_id_for=SequentialIds().id_for,
        end_game=EndGame(units, gateway, clock, retry, flights),
        give_up=GiveUp(units, clock, retry, flights),
        add_game=AddGame(units, clock),
        change_game=ChangeGame(units, clock, retry),
        remove_game=RemoveGame(units, clock, retry),
        manage_servers=ManageServers(units, clock, retry),
        check_server=CheckServer(
            units, gateway, ProbeServers(units, gateway, clock, retry, InlineExecutor())
        ),
        preview_placement=PreviewPlacement(units, gateway, SequentialIds(), clock, refused),
        tokens=tokens,
        reports=Reports(units, clock, SequentialIds(), retry, notifier, render_report, Plan(), "0"),
        read_history=ReadHistory(units, clock, Keep()),
        units=units,
        clock=clock,
        readiness=ready,
        metrics=metrics.render,
        observe=metrics.request,
    )
    app = create_app(services, version="0")
    app.register_blueprint(create_blueprint())
    made = {role: tokens.create(role, role.value)[1] for role in Role}
    return Desk(app, store, gateway, clock, made, readiness, services, metrics, calls, notifier)
