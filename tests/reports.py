"""A report with something of everything."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from orchestrator.domain.forecast import Forecast, Outlook
from orchestrator.domain.report import (
    Changes,
    Counted,
    Fleet,
    IncidentFigures,
    LoadFigures,
    Peak,
    Report,
    ServerFigures,
    SessionFigures,
    SiteFigures,
)

UNTIL = datetime(2026, 3, 9, 0, 0, tzinfo=UTC)
SINCE = UNTIL - timedelta(days=7)


def sample_report() -> Report:
    """Two sites, a bad week."""
    load = {
        "cpu": LoadFigures(0.41, 0.38, 0.83, 0.99),
        "memory": LoadFigures(0.55, 0.55, 0.62, 0.71),
        "gpu": LoadFigures(0.6, 0.61, 0.92, 1.0),
    }
    sessions = SessionFigures(
        requested=412,
        started=398,
        failed=14,
        lost=3,
        failures=(
            Counted("not_ready", 11, "the game's stream port 8554 did not listen within 60 s"),
            Counted("server_unreachable", 3, "tpe-02: no answer on port 5986"),
        ),
        losses=(Counted("tpe-02 cannot be reached", 3, "tpe-02 cannot be reached"),),
        start_p50=4.2,
        start_p95=9.7,
    )
    few = SessionFigures(20, 20, 0, 0, start_p50=3.1, start_p95=5.0)
    peaks = [
        Peak(date(2026, 2, 9) + timedelta(days=n), 5 + n // 3 + (2 if n % 7 > 4 else 0))
        for n in range(28)
    ]
    return Report(
        since=SINCE,
        until=UNTIL,
        made_at=UNTIL + timedelta(minutes=5),
        timezone="UTC",
        availability=0.9821,
        watched=0.875,
        sessions=sessions,
        sites=(
            SiteFigures(
                "berlin",
                "Europe/Berlin",
                1,
                8,
                0.9995,
                1.0,
                few,
                peaks[:5],
                Forecast(Outlook.CANNOT_TELL, 5),
            ),
            SiteFigures(
                "taipei",
                "Asia/Taipei",
                3,
                20,
                0.9712,
                0.93,
                sessions,
                peaks,
                Forecast(Outlook.RUNS_OUT, 28, 0.33, date(2026, 4, 20)),
                load,
            ),
        ),
        servers=(
            ServerFigures(
                "ber-01", "berlin", 8, "up", False, 0.9995, 300.0, 1, 20, 0, {"cpu": load["cpu"]}
            ),
            ServerFigures("tpe-01", "taipei", 8, "up", False, 1.0, 0.0, 0, 210, 4, load),
            ServerFigures("tpe-02", "taipei", 8, "unreachable", True, 0.913, 52000.0, 2, 120, 10),
            ServerFigures("tpe-03", "taipei", 4, "unknown", False, None, 0.0, 0, 0, 0),
        ),
        incidents=(
            IncidentFigures(
                "berlin",
                None,
                "unreachable",
                "connection refused",
                SINCE + timedelta(days=1, hours=8),
                SINCE + timedelta(days=1, hours=8, minutes=5),
                300.0,
            ),
            IncidentFigures(
                "taipei",
                "tpe-02",
                "unready",
                "nobody is logged on at the console",
                SINCE + timedelta(days=2, hours=3),
                SINCE + timedelta(days=2, hours=5),
                7200.0,
                planned=True,
            ),
            IncidentFigures(
                "taipei",
                "tpe-02",
                "unreachable",
                "server_unreachable: nothing answers at 192.0.2.12:5986",
                UNTIL - timedelta(hours=14),
                None,
                50400.0,
            ),
        ),
        changes=Changes(
            since=SINCE,
            joined=("tpe-03",),
            left=("tpe-00",),
            resized=("tpe-01: 6 → 8",),
            games_added=("圍棋", "supertux"),
            drained=("tpe-02",),
            version="0.1.0 → 0.2.0",
        ),
        fleet=Fleet({"tpe-01": ("taipei", 8)}, ("supertux",), ("tpe-02",), "0.2.0"),
    )
