"""The shells of a server, as Enumerate on the shell resource shows them."""

from __future__ import annotations

import threading

from orchestrator.lab.machine import LabFault
from orchestrator.lab.shells import RESOURCE, Shells, described
from orchestrator.lab.soap import ENUMERATION, WSMAN, Request, guid

RESOURCES = frozenset({"http://schemas.microsoft.com/wbem/wsman/1/windows/shell", RESOURCE})


class ShellListing:
    """Enumerations of shells: everybody's, for the lab's accounts are administrators."""

    def __init__(self, shells: Shells, *, one_first: bool) -> None:
        self._shells = shells
        self._one_first = one_first
        self._lock = threading.Lock()
        self._open: dict[str, list[str]] = {}

    def enumerate(self, request: Request) -> str:
        """Enumerate: the first page, or a context where it was not asked to optimise."""
        if next(request.body.iter(f"{{{WSMAN}}}Filter"), None) is not None:
            raise LabFault(
                2150858776, "w:FilteringNotSupported", "The filter dialect is not supported."
            )
        items = [described(shell) for shell in self._shells.all()]
        if next(request.body.iter(f"{{{WSMAN}}}OptimizeEnumeration"), None) is None:
            return self._page("Enumerate", "w", [], items)
        size = 1 if self._one_first else len(items)
        return self._page("Enumerate", "w", items[:size], items[size:])

    def pull(self, request: Request) -> str:
        """Pull: the rest."""
        found = next(request.body.iter(f"{{{ENUMERATION}}}EnumerationContext"), None)
        context = (found.text or "").strip() if found is not None else ""
        with self._lock:
            items = self._open.pop(context, None)
        if items is None:
            raise LabFault(
                2150858837, "n:InvalidEnumerationContext", "The enumeration context is not valid."
            )
        return self._page("Pull", "n", items, [])

    def _page(self, kind: str, prefix: str, page: list[str], rest: list[str]) -> str:
        context = ""
        if rest:
            context = f"uuid:{guid()}"
            with self._lock:
                self._open[context] = rest
        end = "" if rest else f"<{prefix}:EndOfSequence/>"
        items = f"<{prefix}:Items>{''.join(page)}</{prefix}:Items>"
        shown = f"<n:EnumerationContext>{context}</n:EnumerationContext>"
        return f"<n:{kind}Response>{shown}{items}{end}</n:{kind}Response>"
