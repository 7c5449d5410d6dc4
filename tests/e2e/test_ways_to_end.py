"""Ctrl-C at any time, and what a command refuses before it begins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.waiting import waits_until

ROOT = Path(__file__).resolve().parents[2]
STOPS_AT = """
import os, signal, sys
from importlib.abc import MetaPathFinder

module = sys.argv[1]

class Stop(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name == module:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Stop())
from orchestrator.cli import main
sys.argv[1:] = ["servers", "list"]
main()
"""


def environment(**more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith("ORCHESTRATOR_")}
    return {**kept, **more}


def begin(
    *arguments: str, folder: Path, program: Sequence[str] = ("-m", "orchestrator.cli"), **more: str
) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, *program, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
        env=environment(PYTHONPATH=str(ROOT), **more),
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str]:
    with process:
        try:
            out, err = process.communicate(timeout=120)
        finally:
            process.kill()
    return process.returncode, out + err


def is_read(fifo: Path, handles: list[int]) -> bool:
    """Whether somebody waits for what is written; ``handles`` then has the writing end."""
    try:
        handles.append(os.open(fifo, os.O_WRONLY | os.O_NONBLOCK))
    except OSError:
        return False
    return True


@pytest.mark.parametrize("module", ["orchestrator.cli.root", "sqlalchemy", "orchestrator.lab"])
def test_ctrl_c_while_the_program_is_imported_ends_it_with_130_and_no_word(
    module: str, tmp_path: Path
) -> None:
    process = begin(module, folder=tmp_path, program=("-c", STOPS_AT))
    assert finish(process) == (130, "")


def test_ctrl_c_in_the_middle_of_a_command_ends_it_with_130(tmp_path: Path) -> None:
    fifo = tmp_path / "game.json"
    os.mkfifo(fifo)
    process = begin("games", "add", str(fifo), folder=tmp_path)
    handles: list[int] = []
    assert waits_until(lambda: is_read(fifo, handles), 60)
    process.send_signal(signal.SIGINT)
    code, shown = finish(process)
    os.close(handles[0])
    assert (code, shown.strip()) == (130, "stopped")


def test_ctrl_c_while_the_demo_makes_its_token_ends_it_with_130(tmp_path: Path) -> None:
    """The whole group is interrupted, as a terminal does it: the command inside, too."""
    process = begin("demo", folder=tmp_path, TMPDIR=str(tmp_path), PYTHONUNBUFFERED="1")
    assert process.stdout is not None
    lines = iter(process.stdout.readline, "")
    assert any("make an API token" in line for line in lines)
    os.killpg(process.pid, signal.SIGINT)
    code, shown = finish(process)
    assert code == 130, shown
    assert "Traceback" not in shown
    assert "demo_failed" not in shown
    assert waits_until(lambda: not list(tmp_path.iterdir()), 30)


def test_a_strategy_that_is_not_there_is_refused_at_the_start(tmp_path: Path) -> None:
    written = begin("serve", "--strategy=foo", folder=tmp_path)
    by_variable = begin(
        "sessions", "start", "chess", "--mode=process", folder=tmp_path, ORCHESTRATOR_STRATEGY="foo"
    )
    for process in (written, by_variable):
        code, shown = finish(process)
        assert code == 1
        assert shown == (
            "error: --strategy (ORCHESTRATOR_STRATEGY) cannot be 'foo': "
            "write best-fit or least-loaded [invalid_setting]\n"
        )
    assert not list(tmp_path.iterdir())


def test_a_second_lab_leaves_the_first_ones_inventory_alone(tmp_path: Path) -> None:
    inventory = tmp_path / "lab.yml"
    first = begin("lab", "--servers=1", folder=tmp_path)
    assert waits_until(inventory.exists, 60)
    text = inventory.read_text(encoding="utf-8")
    code, shown = finish(begin("lab", "--servers=1", folder=tmp_path))
    assert code == 1
    assert "is that of a lab that runs" in shown
    assert inventory.read_text(encoding="utf-8") == text
    first.send_signal(signal.SIGINT)
    assert finish(first)[0] == 0
    assert not list(tmp_path.iterdir())


def test_a_lab_removes_only_its_own_inventory_and_takes_over_one_left_behind(
    tmp_path: Path,
) -> None:
    inventory = tmp_path / "lab.yml"
    inventory.write_text("left by a lab that was killed")
    lab = begin("lab", "--servers=1", folder=tmp_path)
    assert waits_until(lambda: "game-01" in inventory.read_text(encoding="utf-8"), 60)
    other = tmp_path / "other.yml"
    other.write_text("somebody else's")
    other.replace(inventory)
    lab.send_signal(signal.SIGINT)
    assert finish(lab)[0] == 0
    assert inventory.read_text(encoding="utf-8") == "somebody else's"
