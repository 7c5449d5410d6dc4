"""What the services need from the outside, as Protocols.

Adapters implement them: the store a ``UnitOfWork``, the transport a
``ServerGateway``. Tests have one small hand-written fake each
(``tests/fakes.py``).
"""

from orchestrator.ports.history import (
    HealthHistoryRepository,
    HistoryRepository,
    ReportRepository,
    Subject,
)
from orchestrator.ports.outlets import Message, Notifier, SampleSink
from orchestrator.ports.repositories import (
    EventRepository,
    GameRepository,
    IdempotencyRepository,
    ServerRepository,
    StoredAnswer,
    TokenRepository,
)
from orchestrator.ports.runtime import Clock, Executor, IdFactory
from orchestrator.ports.servers import FileGateway, ServerGateway, ServerInspector
from orchestrator.ports.sessions import (
    Holding,
    SessionFact,
    SessionQuery,
    SessionRepository,
    Watched,
)
from orchestrator.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory

__all__ = [
    "Clock",
    "EventRepository",
    "Executor",
    "FileGateway",
    "GameRepository",
    "HealthHistoryRepository",
    "HistoryRepository",
    "Holding",
    "IdFactory",
    "IdempotencyRepository",
    "Message",
    "Notifier",
    "ReportRepository",
    "SampleSink",
    "ServerGateway",
    "ServerInspector",
    "ServerRepository",
    "SessionFact",
    "SessionQuery",
    "SessionRepository",
    "StoredAnswer",
    "Subject",
    "TokenRepository",
    "UnitOfWork",
    "UnitOfWorkFactory",
    "Watched",
]
