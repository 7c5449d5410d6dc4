"""The machine's clock and random ids."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime

_NAMESPACE = uuid.UUID("5f0a3f6e-8f6d-4a7b-9d5e-2b1c7f4e9a10")


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present time, aware, in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


class UuidFactory:
    """Session ids as UUIDs, which are valid names of Windows tasks."""

    def new_id(self) -> str:
        """A random one."""
        return str(uuid.uuid4())

    def id_for(self, owner: str, key: str) -> str:
        """The one that belongs to ``owner`` and ``key``."""
        return str(uuid.uuid5(_NAMESPACE, f"{owner}\0{key}"))
