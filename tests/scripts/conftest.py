"""Fixtures for the PowerShell's tests."""

from __future__ import annotations

from pathlib import Path

import pytest
from windows_standin import PWSH, Windows


@pytest.fixture
def windows(tmp_path: Path) -> Windows:
    """A Windows with somebody at its desktop; skipped where there is no pwsh."""
    if PWSH is None:
        pytest.skip("pwsh is not on the PATH")
    return Windows(tmp_path)
