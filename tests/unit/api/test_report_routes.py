"""Reports over REST."""

from __future__ import annotations

import pytest

from orchestrator.domain.token import Role
from tests.unit.api.conftest import Desk


def test_a_report_is_made_listed_and_shown(desk: Desk) -> None:
    made = desk.post("/api/v1/reports", {"language": "zh-TW", "days": 1}, role=Role.OPERATOR)
    assert made.status_code == 201
    body = made.json
    assert (body["kind"], body["language"], body["deliveries"]) == ("manual", "zh-TW", [])
    assert body["report"]["sites"][0]["name"] == "default"
    assert made.headers["Location"] == f"/api/v1/reports/{body['id']}"
    assert desk.get(made.headers["Location"], role=Role.VIEWER).json == body
    (listed,) = desk.get("/api/v1/reports").json["reports"]
    assert listed == {name: value for name, value in body.items() if name != "report"}
    page = desk.get(f"{made.headers['Location']}/html")
    assert page.content_type == "text/html; charset=utf-8"
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "可用率" in page.get_data(as_text=True)


def test_sending_says_who_got_it(desk: Desk) -> None:
    desk.notifier.names = ["1 mailto://x", "2 json://y"]
    desk.notifier.problems["2 json://y"] = "refused"
    body = desk.post("/api/v1/reports", {"send": True}).json
    found = [(d["target"], d["sent_at"] is not None, d["problem"]) for d in body["deliveries"]]
    assert found == [("1 mailto://x", True, ""), ("2 json://y", False, "refused")]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}, "since"),
        ({"until": "2027-01-01T00:00:00Z"}, "until"),
        ({"since": "2020-01-01T00:00:00Z"}, "since"),
        ({"since": "2026-01-01T00:00:00"}, "since"),
        ({"days": 0}, "days"),
        ({"language": "de"}, "language"),
        ({"nonsense": 1}, "nonsense"),
    ],
)
def test_wrong_questions_are_told_by_field(desk: Desk, body: object, field: str) -> None:
    answer = desk.post("/api/v1/reports", body)
    assert answer.status_code == 422
    assert [each["field"] for each in answer.json["errors"]] == [field]


def test_a_viewer_reads_and_makes_none(desk: Desk) -> None:
    assert desk.post("/api/v1/reports", {}, role=Role.VIEWER).status_code == 403
    assert desk.get("/api/v1/reports/none").json["code"] == "unknown_report"


def test_a_report_that_nobody_would_get_is_not_made(desk: Desk) -> None:
    desk.notifier.names = []
    answer = desk.post("/api/v1/reports", {"send": True})
    assert (answer.status_code, answer.json["code"]) == (409, "no_report_targets")
    assert "--report-targets" in answer.json["detail"]
    assert desk.get("/api/v1/reports").json == {"reports": []}
