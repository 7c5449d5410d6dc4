"""The envelope of an answer."""

from __future__ import annotations

from typing import Any


class ScriptError(Exception):
    """A script's error with its stable code."""

    def __init__(self, code: str, message: str, kind: str = "RuntimeException") -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.kind = kind


def success(result: dict[str, Any]) -> dict[str, Any]:
    """A good answer: ``changed`` and ``warnings`` go to the envelope, the rest is data."""
    data = {k: v for k, v in result.items() if k not in {"changed", "warnings"}}
    return {
        "v": 1,
        "ok": True,
        "changed": bool(result.get("changed")),
        "data": data,
        "warnings": list(result.get("warnings", [])),
        "error": None,
    }


def failure(code: str, message: str, kind: str, at: str) -> dict[str, Any]:
    """An error's answer."""
    return {
        "v": 1,
        "ok": False,
        "changed": False,
        "data": {},
        "warnings": [],
        "error": {
            "code": code,
            "message": message,
            "type": f"System.Management.Automation.{kind}",
            "at": at,
        },
    }
