"""The error tree is drawn in its module's docstring; the drawing must be true."""

from __future__ import annotations

import re

from orchestrator.domain import errors


def _leaves() -> dict[str, type[errors.OrchestratorError]]:
    return {
        name: kind
        for name, kind in vars(errors).items()
        if isinstance(kind, type)
        and issubclass(kind, errors.OrchestratorError)
        and not kind.__subclasses__()
    }


def test_the_drawing_names_every_leaf_with_its_code() -> None:
    drawn = dict(re.findall(r"── (\w+) +(\w+)", errors.__doc__ or ""))
    for name, kind in _leaves().items():
        assert name in drawn, f"{name} is missing in the drawing"
        if kind is not errors.ScriptFailed:
            assert drawn[name] == kind.code


def test_codes_are_unique() -> None:
    codes = [kind.code for kind in _leaves().values() if kind is not errors.ScriptFailed]
    assert len(codes) == len(set(codes))


def test_a_call_that_never_reached_the_server_says_so() -> None:
    assert errors.ServerUnreachable("x", server="a").outcome is errors.Outcome.NOT_EXECUTED
    assert errors.ConnectionLost("x", server="a").outcome is errors.Outcome.UNKNOWN
    assert errors.ScriptFailed("c", "x", server="a").outcome is errors.Outcome.EXECUTED
