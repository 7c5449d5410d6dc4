"""What Pydantic finds wrong, in the words of somebody who writes the request."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_OBJECT = 'must be an object, such as {{"name": "value"}}'
_NUMBER = "must be a number"
_WHOLE = "must be a whole number"
_BOOLEAN = "must be true or false"
_ADDRESS = "must be an IP address, such as 198.51.100.7"
_TIME = "write a time such as 2026-01-31T08:00:00+08:00 or 2026-01-31T00:00:00Z"

_WORDS: Mapping[str, str] = {
    "missing": "is missing",
    "string_type": "must be text",
    "string_too_short": "must not be empty",
    "string_too_long": "may have at most {max_length} characters",
    "list_type": 'must be a list, such as ["one", "two"]',
    "dict_type": _OBJECT,
    "model_type": _OBJECT,
    "model_attributes_type": _OBJECT,
    "too_short": "must not be empty",
    "too_long": "may have at most {max_length} entries",
    "int_type": _WHOLE,
    "int_parsing": _WHOLE,
    "int_from_float": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": _BOOLEAN,
    "bool_parsing": _BOOLEAN,
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "ip_any_address": _ADDRESS,
    "timezone_aware": f"needs a time zone: {_TIME}",
    "datetime_type": _TIME,
    "datetime_parsing": _TIME,
    "datetime_from_date_parsing": _TIME,
    "datetime_object_invalid": _TIME,
}
_IN_A_QUERY = " (a query has %2B for the +)"

_EXAMPLES: Mapping[tuple[str, str], str] = {
    ("modes", "too_short"): (
        'name at least one, such as {"process": {"executable": "C:\\\\Games\\\\game.exe"}}'
    ),
    (
        "executable",
        "string_too_short",
    ): r"must not be empty: write a path such as C:\Games\game.exe",
}
"""Where a field's own example says more."""


def plain_words(
    field: str, kind: str, message: str, context: Mapping[str, Any], *, in_query: bool
) -> str:
    """What to say of an error of that kind; Pydantic's own message where none is known."""
    template = _EXAMPLES.get((field, kind))
    if template is not None:
        return template
    template = _WORDS.get(kind)
    if template is None:
        return message
    words = template.format_map(context)
    return words + _IN_A_QUERY if in_query and _TIME in words else words
