"""SQLAlchemy behind the UnitOfWork port, on SQLite and MariaDB/MySQL alike."""

from orchestrator.store.store import Store

__all__ = ["Store"]
