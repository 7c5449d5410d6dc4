"""For a field that is not known: the one that was meant, or those there are."""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo

_ALIKE = 0.6
_LEAST = 3
"""So short a name is part of too many others."""


def unknown_field(title: str, path: Sequence[int | str]) -> str:
    """What to write in place of the field at ``path``, which the model ``title`` lacks."""
    known = _names_beside(title, path)
    if path[-1] in known:
        return "names a field that is here by its other name, too: send one of the two"
    near = nearest(str(path[-1]), known)
    if near:
        return f"there is no such field: did you mean {near}?"
    if known:
        return f"there is no such field; there are {', '.join(known)}"
    return "there is no such field; /openapi.json lists those there are"


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that looks like ``name``, in any case; None where none does."""
    by_lower = {each.lower(): each for each in known}
    wanted = name.lower()
    close = difflib.get_close_matches(wanted, by_lower, 1, _ALIKE)
    if close:
        return by_lower[close[0]]
    within = [each for each in by_lower if wanted in each or each in wanted]
    long = [each for each in within if min(len(each), len(wanted)) >= _LEAST]
    return by_lower[long[0]] if len(long) == 1 else None


def _names_beside(title: str, path: Sequence[int | str]) -> list[str]:
    """The names that the model at the end of ``path`` knows."""
    model = next((each for each in _models(BaseModel) if each.__name__ == title), None)
    if model is None:
        return []
    for part in path[:-1]:
        field = next((f for name, f in _fields(model) if name == part), None)
        model = (_model_in(field.annotation) if field else None) or model
    return [name for name, _ in _fields(model)]


def _models(base: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for each in base.__subclasses__():
        if each.__module__.startswith("orchestrator.api"):
            yield each
        yield from _models(each)


def _fields(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        alias = field.validation_alias
        if isinstance(alias, AliasChoices):
            yield from ((str(choice), field) for choice in alias.choices)
        else:
            yield (alias if isinstance(alias, str) else name), field


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model of a field, of its elements or of its values."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    inner = (_model_in(each) for each in typing.get_args(annotation))
    return next((each for each in inner if each), None)
