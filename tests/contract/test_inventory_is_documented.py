"""docs/inventory.md and the samples say what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from orchestrator.inventory.variables import KNOWN

_ROOT = Path(__file__).parents[2]
_DOCS = (_ROOT / "docs" / "inventory.md").read_text(encoding="utf-8")
_ROWS = re.findall(r"^\| `((?:orchestrator|ansible)_\w+)` \| (.*) \|$", _DOCS, re.MULTILINE)


def test_every_variable_has_one_row_and_no_other_has() -> None:
    assert sorted(name for name, _ in _ROWS) == sorted(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_a_variables_row_tells_what_the_code_does(name: str) -> None:
    variable = KNOWN[name]

    assert dict(_ROWS)[name] == " | ".join(
        (variable.type, variable.default or "none", f"`{variable.example}`", variable.meaning)
    )


def test_the_sample_explains_every_variable_it_uses() -> None:
    lines = (_ROOT / "inventory" / "sample.yml").read_text(encoding="utf-8").splitlines()
    used = {match[1] for line in lines if (match := re.match(r"\s+(orchestrator_\w+):", line))}
    ours = {name for name in KNOWN if name.startswith("orchestrator_")}

    assert used == ours
