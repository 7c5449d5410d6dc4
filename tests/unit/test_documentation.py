"""What exists is documented, and what is documented exists."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import orchestrator
from orchestrator.api.access import ROLES
from orchestrator.api.problems import STATUS
from orchestrator.cli.root import main
from orchestrator.config import SETTINGS
from orchestrator.domain.errors import OrchestratorError, ScriptFailed, ServerCallError
from orchestrator.placement import strategy_names

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


def rows(name: str) -> list[list[str]]:
    lines = (DOCS / name).read_text(encoding="utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]


def commands(group: click.Group, path: str = "orchestrator") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


def test_every_setting_is_documented_with_its_variable_and_default() -> None:
    documented = {
        row[0].strip("`"): (row[1].strip("`"), row[2].strip("`"))
        for row in rows("settings.md")
        if row[0].startswith("`--")
    }
    assert documented == {
        option.flag: (option.variable, "" if option.default is None else str(option.default))
        for option in SETTINGS.values()
    }


def test_every_command_is_documented_and_no_other() -> None:
    documented = {
        " ".join(
            word for word in row[0].strip("`").split() if re.fullmatch(r"[a-z]+(-[a-z]+)*", word)
        )
        for row in rows("cli.md")
        if row[0].startswith("`orchestrator")
    }
    assert {path for path, _ in commands(main)} == {name.strip() for name in documented}


def test_every_option_has_a_variable_and_is_documented() -> None:
    text = (DOCS / "cli.md").read_text() + (DOCS / "settings.md").read_text()
    for path, command in commands(main):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.envvar, f"{path} {parameter.opts}"
                assert f"`{parameter.envvar}`" in text, f"{path} {parameter.envvar}"
        assert command.help, path


def test_commands_offer_no_option_that_does_nothing_for_them() -> None:
    """Where a setting has an effect, by the commands that have an option for it."""
    having = {
        name: {
            path.removeprefix("orchestrator ")
            for path, c in commands(main)
            if name in {parameter.name for parameter in c.params}
        }
        for name in ("strategy", "end_grace", "poll_timeout", "orphans")
    }
    assert having == {
        "strategy": {"serve", "sessions start"},
        "end_grace": {"serve", "sessions end", "reconcile"},
        "poll_timeout": {"serve", "sessions start", "servers check", "reconcile"},
        "orphans": {"serve", "reconcile"},
    }


def test_every_command_that_prints_has_json() -> None:
    without = {path for path, c in commands(main) if "as_json" not in {p.name for p in c.params}}
    assert without == {"orchestrator serve", "orchestrator lab", "orchestrator demo"}


def test_every_route_is_documented_with_its_role() -> None:
    documented = {
        row[0].strip("`"): row[1] for row in rows("api.md") if "`" in row[0] and "/" in row[0]
    }
    wanted = {
        re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", route): role.value if role else "none"
        for route, role in ROLES.items()
        if not route.startswith("GET /assets")
    }
    assert documented == wanted


def test_every_error_code_is_documented_with_its_status() -> None:
    documented = {
        row[0].strip("`"): int(row[1])
        for row in rows("api.md")
        if len(row) == 3 and row[1].isdigit()
    }
    assert documented == dict(STATUS)


def _codes(kind: type[OrchestratorError]) -> set[str]:
    ours = {kind.code} if kind.__module__.startswith("orchestrator.") else set()
    return ours.union(*(_codes(each) for each in kind.__subclasses__()))


def test_every_code_that_only_the_command_line_has_is_documented() -> None:
    documented = {
        row[0].strip("`") for row in rows("cli.md") if re.fullmatch("`[a-z]+_[a-z_]+`", row[0])
    }
    assert documented == _codes(OrchestratorError) - set(STATUS) - {OrchestratorError.code}


def test_every_strategy_is_named_in_the_settings() -> None:
    text = (DOCS / "settings.md").read_text()
    for name in strategy_names():
        assert f"`{name}`" in text


def test_the_changelog_begins_with_this_version() -> None:
    first = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert first is not None
    assert first[1] == orchestrator.__version__


@pytest.mark.parametrize(
    "page", sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")]), ids=lambda page: page.name
)
def test_links_and_named_files_exist(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"
    for target in re.findall(r"\bdocs/[\w./-]+\.md\b", text):
        assert (ROOT / target).exists(), f"{page.name} names {target}"


def _call_codes(kind: type[ServerCallError]) -> set[str]:
    below = kind.__subclasses__()
    return {each.code for each in below}.union(*(_call_codes(each) for each in below))


def test_every_code_of_a_call_or_script_has_its_remedy_for_an_admin() -> None:
    """In docs/windows.md, where somebody with a server that does not work looks."""
    scripts = (DOCS / "scripts.md").read_text(encoding="utf-8").split("\n## Error codes\n")[1]
    codes = set(re.findall(r"^\| `([a-z_]+)` \|", scripts, re.MULTILINE))
    codes |= _call_codes(ServerCallError) - {ScriptFailed.code}
    table = (DOCS / "windows.md").read_text(encoding="utf-8").split("\n## What went wrong\n")[1]
    rows = re.findall(r"^\| (`.+?) \| (.+?) \|$", table, re.MULTILINE)
    named = [code for cell, _ in rows for code in re.findall(r"`([a-z_]+)`", cell)]
    assert sorted(named) == sorted(codes)
