"""The page in a real browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.e2e_house import House

pytestmark = pytest.mark.browser

DASH = "\N{EN DASH}"


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    chromium, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("chromium or chromium-driver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for flag in (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        f"--user-data-dir={tmp_path / 'profile'}",
        "--window-size=1100,800",
    ):
        options.add_argument(flag)
    driver_service = Service(driver, env={**os.environ, "NO_PROXY": "127.0.0.1,localhost"})
    started = webdriver.Chrome(options=options, service=driver_service)
    yield started
    started.quit()


def shown(browser: webdriver.Chrome, wanted: str) -> str:
    def text(driver: webdriver.Chrome) -> str | None:
        found = driver.find_element(By.TAG_NAME, "body").text
        return found if wanted in found else None

    return WebDriverWait(browser, 20).until(text)


def row(browser: webdriver.Chrome, session: str) -> dict[str, str]:
    """What the table shows of a session, by column."""
    names = [each.text for each in browser.find_elements(By.CSS_SELECTOR, "thead th")]
    line = browser.find_element(By.XPATH, f"//tbody/tr[td/code='{session}']")
    cells = [each.text for each in line.find_elements(By.TAG_NAME, "td")]
    return dict(zip(names, cells, strict=True))


def test_the_stream_column_has_streams_only(house: House, browser: webdriver.Chrome) -> None:
    body = {"id": "gone", "modes": {"process": {"executable": "C:\\Gone\\gone.exe"}}}
    assert house.post("/api/v1/games", body).status_code == 201
    failed = house.post("/api/v1/sessions", {"game": "gone", "mode": "process"}).json()
    plain = house.post("/api/v1/sessions", {"game": "freeciv", "mode": "process"}).json()
    browser.get(f"{house.url}/#token={house.token}")
    shown(browser, plain["id"])
    found = row(browser, plain["id"])
    assert (found["State"], found["Stream"], found["Note"]) == ("running", DASH, "")
    found = row(browser, failed["session_id"])
    assert (found["State"], found["Stream"]) == ("failed", DASH)
    assert "gone.exe" in found["Note"]
    house.post(f"/api/v1/sessions/{plain['id']}/end", {})
    shown(browser, "ended")
    assert row(browser, plain["id"])["Stream"] == DASH


def test_servers_and_sessions_are_shown_to_whom_has_a_token(
    house: House, browser: webdriver.Chrome, tmp_path: Path
) -> None:
    body = {"game": "supertux", "mode": "event-driven"}
    session = house.post("/api/v1/sessions", body).json()

    browser.get(house.url)
    shown(browser, "orchestrator tokens create")
    field = browser.find_element(By.ID, "token")
    field.send_keys("wrong")
    field.submit()
    shown(browser, "unknown or revoked")

    browser.get(f"{house.url}/#token={house.token}")
    browser.refresh()
    text = shown(browser, session["rtsp_url"])
    assert "3 of 3 servers up · 1 session running" in text
    for server in ("game-01", "game-02", "game-03"):
        assert server in text
    assert session["id"] in text
    assert house.token not in browser.current_url
    assert browser.save_screenshot(str(tmp_path / "overview.png"))
    severe = [line for line in browser.get_log("browser") if line["level"] == "SEVERE"]
    assert all("401" in line["message"] for line in severe), severe

    house.post(f"/api/v1/sessions/{session['id']}/end", {})
    shown(browser, "ended")
