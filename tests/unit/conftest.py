"""A store in memory, for tests that want the real thing without a file."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from orchestrator.store import Store

_numbers = itertools.count()


@pytest.fixture
def store() -> Iterator[Store]:
    """SQLite in memory, with its tables."""
    name = f"unit-{next(_numbers)}"
    store = Store(f"sqlite:///file:{name}?mode=memory&cache=shared&uri=true", pool_size=5)
    with store._engine.connect():
        store.prepare()
        yield store
    assert store.connections_in_use() == 0
    store.close()
