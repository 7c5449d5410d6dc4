"""Every PowerShell file parses, also where there is no PowerShell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from powershell_source import sources

tree_sitter = pytest.importorskip("tree_sitter")
grammar = pytest.importorskip("tree_sitter_pwsh")

FILES = [source.path for source in sources()] + sorted(Path(__file__).parent.rglob("*.ps*1"))


def problems(text: bytes) -> list[str]:
    """Where the grammar finds an error, and each try without catch or finally."""
    parser = tree_sitter.Parser(tree_sitter.Language(grammar.language()))
    return [
        f"line {node.start_point[0] + 1}: {node.type}"
        for node in _nodes(parser.parse(text).root_node)
        if node.type == "ERROR" or node.is_missing or _is_bare_try(node)
    ]


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children:
        yield from _nodes(child)


def _is_bare_try(node: Any) -> bool:
    kinds = {child.type for child in node.children}
    return node.type == "try_statement" and not kinds & {"catch_clauses", "finally_clause"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_a_file_parses(path: Path) -> None:
    assert problems(path.read_bytes()) == []


@pytest.mark.parametrize(
    "text",
    [
        "try { 1 }",
        "if ($a { 1 }",
        "$a = @(1",
        "foreach ($a on $b) { }",
        "function F { param([string] $A [int] $B) }",
        "$h = @{ a = 1 b = 2 }",
    ],
)
def test_what_does_not_parse_is_seen(text: str) -> None:
    assert problems(text.encode())
