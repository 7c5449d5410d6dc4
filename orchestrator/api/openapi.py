"""The OpenAPI document, where it must say more than the models do."""

from __future__ import annotations

import copy
from typing import Any

_PROBLEM = "application/problem+json"
_NOT_JSON = "The body cannot be read as JSON"


def described(document: dict[str, Any]) -> dict[str, Any]:
    """``document`` with errors as the media type they are sent as, and with the
    400 that every route with a body may answer.

    The library that makes the document from the models knows only
    ``application/json``, and documents a form of its own for what does not
    validate.
    """
    document = copy.deepcopy(document)
    for operations in document.get("paths", {}).values():
        for operation in operations.values():
            _describe(operation)
    return document


def _describe(operation: dict[str, Any]) -> None:
    responses = operation.get("responses", {})
    takes_input = "requestBody" in operation or operation.get("parameters")
    if not takes_input:
        responses.pop("422", None)
    for status, response in responses.items():
        content = response.get("content", {})
        if status == "422":
            content["application/json"] = {"schema": {"$ref": "#/components/schemas/Problem"}}
        if int(status) >= 400 and _is_problem(content):
            content[_PROBLEM] = content.pop("application/json")
    if "requestBody" in operation and "422" in responses:
        responses["400"] = {**responses["422"], "description": _NOT_JSON}


def _is_problem(content: dict[str, Any]) -> bool:
    schema = content.get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).endswith("/Problem")
