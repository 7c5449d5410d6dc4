"""The examples of the README and of docs/api.md, as they are written, on the lab."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from orchestrator.cli.root import main
from tests.e2e_house import House

ROOT = Path(__file__).resolve().parents[2]


def shell_lines(page: str) -> list[str]:
    """Every command of a page's sh blocks, its continued lines joined."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.strip() for line in joined.splitlines() if line.strip()]


def posts(page: str) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
    """Path, body and headers but for the token of each curl that writes its body out."""
    found = []
    for line in shell_lines(page):
        words = shlex.split(line)
        if words[0] == "curl" and "-d" in words and "@game.json" not in words:
            (url,) = (word for word in words if word.startswith("localhost:5000/"))
            body = json.loads(words[words.index("-d") + 1])
            after = [words[place + 1] for place, word in enumerate(words) if word == "-H"]
            headers = dict(each.split(": ", 1) for each in after)
            del headers["Authorization"]
            found.append((urlsplit(f"http://{url}").path, body, headers))
    return found


@pytest.mark.parametrize("page", ["README.md", "README.zh-TW.md"])
def test_the_readmes_game_is_added_and_starts_on_the_lab(house: House, page: str) -> None:
    (add, game, typed), (start, request, headers) = posts(page)
    assert (add, start) == ("/add_game", "/start_game")
    assert house.post(add, game, **typed).status_code == 201
    started = house.post(start, request, **headers)
    assert (started.status_code, started.json()["gamestatus"]) == (200, "running")
    assert started.json()["PID"] > 0


def test_the_game_of_the_api_page_starts_on_the_lab(house: House) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    bodies = [json.loads(b) for b in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]
    (game,) = (body for body in bodies if "modes" in body)
    ((_, request, headers),) = (each for each in posts("docs/api.md") if "start" in each[0])
    assert request["gameID"] == game["gameID"]
    assert house.post("/add_game", game).ok
    started = house.post("/start_game", request, **headers)
    assert (started.status_code, started.json()["gamestatus"]) == (200, "running")


@pytest.mark.parametrize("page", ["README.md", "README.zh-TW.md", "docs/reports.md"])
def test_commands_and_options_of_the_examples_exist(page: str) -> None:
    commands = re.findall(r"(?:^|\()(?:\.venv/bin/)?orchestrator ([^)\n#&]+)",
                          "\n".join(shell_lines(page)), re.MULTILINE)  # fmt: skip
    assert commands
    for line in commands:
        words = shlex.split(line)
        command: Any = main
        while words and words[0] in getattr(command, "commands", {}):
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in parameter.opts}
        assert command is not main, line
        assert {word for word in words if word.startswith("--")} <= options, line
