"""The questions of a poll by one script call, where WMI is closed to the account."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.domain.errors import QueryRejected
from orchestrator.transport.questions import Question
from orchestrator.transport.wql import Row

SCRIPT = "Get-Load"

Call = Callable[[Mapping[str, object]], Mapping[str, Any]]
"""Runs Get-Load with parameters; the answer's data."""


class ScriptedAnswers:
    """Asks all of ``questions`` at once; one that comes as an afterthought costs another call."""

    def __init__(self, server: str, call: Call, questions: Sequence[Question]) -> None:
        self._server = server
        self._call = call
        self._questions = questions
        self._answers: dict[str, Mapping[str, Any]] | None = None

    def ask(self, question: Question) -> list[Row]:
        """The rows of one question; QueryRejected where the server has none."""
        if self._answers is None:
            self._answers = self._run(self._questions)
        if question.wql not in self._answers:
            self._answers |= self._run([question])
        answer = self._answers[question.wql]
        if answer["error"] is not None:
            raise QueryRejected(str(answer["error"]), server=self._server)
        return [dict(row) for row in answer["rows"]]

    def _run(self, questions: Sequence[Question]) -> dict[str, Mapping[str, Any]]:
        data = self._call({"Question": [question.parts for question in questions]})
        found = data["answers"]
        if len(found) != len(questions):
            raise ValueError(f"number of answers: {len(found)}, not {len(questions)}")
        return {q.wql: answer for q, answer in zip(questions, found, strict=True)}
