"""A report as a message: HTML for mail, text for chat, JSON for programs."""

from __future__ import annotations

import json

from pydantic import TypeAdapter

from orchestrator.domain.report import Language, Report
from orchestrator.notify.html import page
from orchestrator.notify.text import summary
from orchestrator.notify.wording import Wording
from orchestrator.ports import Message

_REPORT = TypeAdapter(Report)


def render_report(report: Report, language: Language) -> Message:
    """The message."""
    words = Wording(language)
    return Message(
        subject=words.title(report),
        text=summary(report, words),
        html=page(report, words),
        json=json.dumps(_REPORT.dump_python(report, mode="json"), ensure_ascii=False, indent=1),
    )
