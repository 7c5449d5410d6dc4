"""The dashboard, the alert rules and the metrics agree."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from ruamel.yaml import YAML

from tests.unit.api.conftest import Desk

FOLDER = Path(__file__).resolve().parents[3] / "docs" / "monitoring"
NAME = re.compile(r"\borchestrator_[a-z_]+\b")
SELECTOR = re.compile(r"\b(orchestrator_[a-z_]+)\{([^}]*)\}")
GROUPED = re.compile(r"\b(?:by|on) \(([^)]*)\)")
FUNCTIONS = {
    "sum",
    "max",
    "min",
    "count",
    "topk",
    "rate",
    "increase",
    "histogram_quantile",
    "label_values",
    "vector",
}


def dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((FOLDER / "grafana-dashboard.json").read_text())
    return found


def rules() -> list[dict[str, Any]]:
    parsed = YAML(typ="safe").load((FOLDER / "alerts.yml").read_text())
    return [rule for group in parsed["groups"] for rule in group["rules"]]


def expressions() -> Iterator[str]:
    for panel in dashboard()["panels"]:
        for target in panel["targets"]:
            yield target["expr"]
    for variable in dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            yield variable["query"]["query"]
    for rule in rules():
        yield rule["expr"]


@pytest.fixture
def exposed(counted: Desk) -> dict[str, set[str]]:
    """Every sample's name and labels, on a broker where something of each kind happened."""
    text = counted.get("/metrics").get_data(as_text=True)
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def test_every_metric_that_is_asked_for_exists(exposed: dict[str, set[str]]) -> None:
    for expression in expressions():
        for name in NAME.findall(expression):
            assert name in exposed, expression


def test_every_label_that_is_asked_for_exists(exposed: dict[str, set[str]]) -> None:
    for expression in expressions():
        known = {"le", "job", "instance"}.union(*(exposed[n] for n in NAME.findall(expression)))
        for name, labels in SELECTOR.findall(expression):
            for label in re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", labels):
                assert label in exposed[name] | {"le"}, expression
        for group in GROUPED.findall(expression):
            assert {label.strip() for label in group.split(",")} <= known, expression


def test_every_metric_is_on_the_dashboard_or_in_a_rule(exposed: dict[str, set[str]]) -> None:
    asked = {name for expression in expressions() for name in NAME.findall(expression)}
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in asked}
    for name in exposed:
        assert re.sub(r"_(bucket|count|sum)$", "", name) in families, name


@pytest.mark.parametrize("expression", list(expressions()))
def test_expressions_are_sound(expression: str) -> None:
    bare = re.sub(r'"[^"]*"', '""', expression)
    bare = re.sub(r"(\borchestrator_\w+(?:\{[^}]*\})?)\s+unless \1 offset \d+m", "", bare)
    for opening, closing in ("()", "{}", "[]"):
        assert bare.count(opening) == bare.count(closing)
    assert set(re.findall(r"\b([a-z_]+)\(", bare)) <= FUNCTIONS
    for counter in re.findall(r"\b(orchestrator_\w+_(?:total|count|bucket))\b", bare):
        assert re.search(rf"(?:rate|increase)\({counter}[^)]*\[\d+m\]\)", bare), counter


def test_alerts_on_a_growing_counter_see_the_first_thing_that_it_counts() -> None:
    for rule in rules():
        for grown in re.findall(r"increase\((.*?)\[(\d+m)\]\)", rule["expr"]):
            first = "{0} unless {0} offset {1}".format(*grown)
            assert first in rule["expr"], rule["alert"]


def test_alerts_on_servers_keep_silent_in_a_maintenance_window() -> None:
    for rule in rules():
        if "orchestrator_server_available" in rule["expr"]:
            assert "orchestrator_server_maintenance" in rule["expr"], rule["alert"]


def test_alerts_say_what_is_wrong_and_how_bad_it_is() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"]["summary"]
        for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
            assert re.search(rf"\(.*\b{label}\b.*\)", rule["expr"]) or label == "instance"


def test_panels_do_not_overlap_and_have_a_title_and_a_source() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        assert panel["title"]
        assert panel["datasource"]["uid"] == "${datasource}"
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert not cells & taken, panel["title"]
        assert at["x"] + at["w"] <= 24
        taken |= cells


def test_the_scrape_configuration_reads_our_route_with_a_token() -> None:
    parsed = YAML(typ="safe").load((FOLDER / "prometheus.yml").read_text())
    (job,) = parsed["scrape_configs"]
    assert job["metrics_path"] == "/metrics"
    assert job["authorization"]["type"] == "Bearer"
    assert parsed["rule_files"] == ["alerts.yml"]
