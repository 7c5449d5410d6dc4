"""The Notifier port through Apprise: mail, webhooks and chat by URL.

https://github.com/caronc/apprise/wiki lists what a URL can be.
"""

from __future__ import annotations

import logging
import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from orchestrator.domain.errors import InvalidSetting
from orchestrator.ports import Message

_MAIL = frozenset(
    {
        *("mailto", "mailtos", "ses", "sendgrid", "mailgun", "sparkpost"),
        *("smtp2go", "o365", "resend", "brevo", "sendpulse"),
    }
)
"""Schemes that carry a whole HTML page; all others get the text."""

_MOST_DETAIL = 200


def read_targets(path: Path) -> list[str]:
    """The URLs of a file: one a line, lines that begin with # are comments."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"the report targets {path} cannot be read: {error}") from None
    return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


class AppriseNotifier:
    """One Apprise service for each URL; names show no secrets."""

    def __init__(self, urls: Iterable[str]) -> None:
        self._services: dict[str, Any] = {}
        urls = list(urls)
        if not urls:
            return
        # It takes a second to import, which a command without targets need not wait for.
        import apprise

        self._apprise = apprise
        for number, url in enumerate(urls, 1):
            service: Any = apprise.Apprise.instantiate(url, suppress_exceptions=True)
            if service is None:
                scheme = url.partition(":")[0]
                raise InvalidSetting(
                    f"report target {number} ({scheme}:…) is not a URL that Apprise knows"
                )
            self._services[f"{number} {service.url(privacy=True).partition('?')[0]}"] = service

    def targets(self) -> Sequence[str]:
        """Their names, in the order of the file."""
        return list(self._services)

    def send(self, target: str, message: Message) -> str | None:
        """None where it was taken, else what went wrong."""
        service = self._services.get(target)
        if service is None:
            return "this target is not configured any more"
        mail = bool(_schemes(service) & _MAIL)
        with tempfile.TemporaryDirectory(prefix="report-") as folder, _Heard() as heard:
            body = message.html if mail else message.text
            formats = self._apprise.NotifyFormat
            kind = formats.HTML if mail else formats.TEXT
            try:
                sent = self._apprise.Apprise(servers=[service]).notify(
                    title=message.subject,
                    body=body,
                    body_format=kind,
                    attach=_files(Path(folder), message) if service.attachment_support else None,
                )
            except Exception as error:
                # Whatever a service of Apprise raises is a message that was not sent.
                return _shown(f"{type(error).__name__}: {error}", service)
        return None if sent else _shown(heard.last, service)


def _schemes(service: Any) -> set[str]:
    found: set[str] = set()
    for scheme in (service.protocol, service.secure_protocol):
        found |= {scheme} if isinstance(scheme, str) else set(scheme or ())
    return found


def _files(folder: Path, message: Message) -> list[str]:
    found = []
    for name, text in (("report.json", message.json), ("report.html", message.html)):
        path = folder / name
        path.write_text(text, encoding="utf-8")
        found.append(str(path))
    return found


def _shown(detail: str, service: Any) -> str:
    """What went wrong without the URL's secrets."""
    for secret in filter(None, (service.password, getattr(service, "user", None))):
        detail = detail.replace(str(secret), "…")
    return re.sub(r"\s+", " ", detail)[:_MOST_DETAIL]


class _Heard(logging.Handler):
    """The last warning of Apprise, which tells errors only to its log."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.last = "not sent"

    def emit(self, record: logging.LogRecord) -> None:
        self.last = record.getMessage()

    def __enter__(self) -> _Heard:
        logging.getLogger("apprise").addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        logging.getLogger("apprise").removeHandler(self)
