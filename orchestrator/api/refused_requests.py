"""Requests that waitress refuses before there is a request to route, as problems like any other."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask

from orchestrator.api.problems import STATUS, TOO_LARGE, document

_CODES: Mapping[int, str] = {413: "too_large", 431: "headers_too_large", 500: "internal_error"}
_REASONS: Mapping[str, str] = {
    "too_large": "Request Entity Too Large",
    "headers_too_large": "Request Header Fields Too Large",
    "internal_error": "Internal Server Error",
    "bad_request": "Bad Request",
}
_DETAILS: Mapping[str, str] = {
    "too_large": TOO_LARGE,
    "headers_too_large": "the headers are larger than the 256 KiB that are read: send fewer",
    "internal_error": "an error of the broker's own",
}


class _ProblemTask(ErrorTask):
    def execute(self) -> None:
        """Answer with the problem, and close: what follows is no request that can be read."""
        request: Any = self.request
        error = request.error
        code = _CODES.get(error.code, "bad_request")
        detail = _DETAILS.get(code, f"this is no HTTP request: {error.body}")
        body = json.dumps(document(code, detail, instance=str(uuid.uuid4()))).encode() + b"\n"
        self.status = f"{STATUS[code]} {_REASONS[code]}"
        self.response_headers = [("Content-Type", "application/problem+json")]
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class ProblemChannel(HTTPChannel):
    """A connection on which every error is application/problem+json."""

    error_task_class = _ProblemTask
