"""Reports through the real Apprise, to a mail server and a webhook of our own."""

from __future__ import annotations

import base64
import email
import json
import threading
from collections.abc import Iterator
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session

from orchestrator.domain.errors import OrchestratorError
from orchestrator.domain.report import Language
from orchestrator.notify import AppriseNotifier, read_targets, render_report
from tests.reports import sample_report


class Mailbox:
    """A handler of aiosmtpd that keeps what it is sent, or refuses it."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = False

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refuses:
            return "554 no thanks"
        assert isinstance(envelope.content, bytes)
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


class AnyPort(Controller):
    """A mail server on a free port: its own check of itself has to know which."""

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mail() -> Iterator[tuple[Mailbox, str]]:
    """A mail server on loopback, and the Apprise URL of a mailbox there."""
    mailbox = Mailbox()
    controller = AnyPort(mailbox, hostname="127.0.0.1", port=0)
    controller.start()
    yield (
        mailbox,
        f"mailto://127.0.0.1:{controller.port}/ops@games.example?from=broker@games.example",
    )
    controller.stop()


class Hook:
    """A web server that keeps what is posted to it."""

    def __init__(self) -> None:
        self.posted: list[dict[str, Any]] = []
        self.status = 200


@pytest.fixture
def hook() -> Iterator[tuple[Hook, str]]:
    kept = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            length = int(self.headers["Content-Length"])
            kept.posted.append(json.loads(self.rfile.read(length)))
            self.send_response(kept.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield kept, f"json://user:geheim@127.0.0.1:{server.server_port}/reports"
    server.shutdown()
    thread.join()
    server.server_close()


MESSAGE = render_report(sample_report(), Language.CHINESE)


def test_a_mail_arrives_with_the_page_a_text_and_the_json(mail: tuple[Mailbox, str]) -> None:
    mailbox, url = mail
    notifier = AppriseNotifier([url])
    (target,) = notifier.targets()
    assert notifier.send(target, MESSAGE) is None
    (received,) = mailbox.mails
    assert received["Subject"] == "遊戲伺服器報告 2026-03-09"
    assert "ops@games.example" in received["To"]
    page = received.get_body(("html",))
    assert page is not None
    shown = page.get_content()
    assert "<table" in shown
    assert "可用率" in shown
    plain = received.get_body(("plain",))
    assert plain is not None
    assert "可用率" in plain.get_content()
    files = {part.get_filename(): part for part in received.iter_attachments()}
    assert set(files) == {"report.json", "report.html"}
    assert json.loads(files["report.json"].get_payload(decode=True))["sessions"]["failed"] == 14


def test_a_webhook_gets_the_text_and_the_files(hook: tuple[Hook, str]) -> None:
    kept, url = hook
    notifier = AppriseNotifier([url])
    (target,) = notifier.targets()
    assert notifier.send(target, MESSAGE) is None
    (body,) = kept.posted
    assert body["title"] == MESSAGE.subject
    assert "tpe-02" in body["message"]
    assert "<table" not in body["message"]
    files = {each["filename"]: each["base64"] for each in body["attachments"]}
    assert json.loads(base64.b64decode(files["report.json"]))["availability"] == 0.9821
    assert base64.b64decode(files["report.html"]).decode() == MESSAGE.html


def test_a_refusal_is_told_without_the_urls_secrets(
    mail: tuple[Mailbox, str], hook: tuple[Hook, str]
) -> None:
    mail[0].refuses = True
    hook[0].status = 500
    notifier = AppriseNotifier([mail[1], hook[1]])
    for target in notifier.targets():
        problem = notifier.send(target, MESSAGE)
        assert problem
        assert "geheim" not in problem + target
    assert notifier.send("3 gone", MESSAGE) == "this target is not configured any more"


def test_a_server_that_is_not_there_is_told() -> None:
    notifier = AppriseNotifier(["json://127.0.0.1:1/x"])
    assert notifier.send(notifier.targets()[0], MESSAGE)


def test_targets_are_read_from_a_file_and_wrong_ones_are_named(tmp_path: Path) -> None:
    path = tmp_path / "targets"
    path.write_text("# whom to tell\n\njson://localhost/a\n  mailto://x:y@mail.example  \n")
    assert read_targets(path) == ["json://localhost/a", "mailto://x:y@mail.example"]
    assert len(AppriseNotifier(read_targets(path)).targets()) == 2
    with pytest.raises(OrchestratorError, match=r"target 1 \(nonsense:…\)"):
        AppriseNotifier(["nonsense://secret"])
    with pytest.raises(OrchestratorError, match="cannot be read"):
        read_targets(tmp_path / "none")
