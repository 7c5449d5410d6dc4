"""A session by its id, or by the beginning of it, as people copy it from a table."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.errors import UnknownSession
from orchestrator.domain.session import Session
from orchestrator.ports import SessionQuery, UnitOfWork

SHORTEST = 6
_PAGE = 500
_PAGES = 20
"""So far back a beginning is looked for; a whole id is found at any age."""


def session_named(uow: UnitOfWork, text: str) -> Session:
    """The session; UnknownSession where there is none, or several begin so."""
    try:
        return uow.sessions.get(text)
    except UnknownSession as error:
        unknown = error
    found = list(_beginning(uow, text)) if len(text) >= SHORTEST else []
    if len(found) == 1:
        return found[0]
    if found:
        ids = ", ".join(each.id for each in found[:5])
        raise UnknownSession(f"several sessions begin with {text!r}: {ids}; write more of one")
    raise UnknownSession(
        f"{unknown.told}; 'orchestrator sessions list' shows those there are, and the first "
        f"{SHORTEST} characters of an id will do"
    )


def _beginning(uow: UnitOfWork, text: str) -> Iterator[Session]:
    before = None
    for _ in range(_PAGES):
        page = uow.sessions.list(SessionQuery(limit=_PAGE, before=before))
        yield from (each for each in page if each.id.startswith(text.lower()))
        if len(page) < _PAGE:
            return
        before = page[-1].id
