"""A real browser in the hands of a test: Debian's chromium by its own driver (W3C WebDriver), without a library between."""

import base64
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx

from tests.servers import a_free_port, answers, program, running

_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
"""The name of a reference to an element (W3C WebDriver section 11)."""


class Browser:
    """One window."""

    def __init__(self, client: httpx.Client, session: str) -> None:
        self._client, self._session = client, session

    def _do(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._client.request(method, f"/session/{self._session}/{path}", json=body if method == "POST" else None)
        answer.raise_for_status()
        return answer.json()["value"]

    def open(self, url: str) -> None:
        """Loads a page."""
        self._do("POST", "url", {"url": url})

    def run(self, script: str, *arguments: Any) -> Any:
        """What a script answers."""
        return self._do("POST", "execute/sync", {"script": script, "args": list(arguments)})

    def _find(self, selector: str) -> str:
        return str(self._do("POST", "element", {"using": "css selector", "value": selector})[_ELEMENT])

    def click(self, selector: str) -> None:
        """A person's click on what they see."""
        self._do("POST", f"element/{self._find(selector)}/click", {})

    def type(self, selector: str, text: str) -> None:
        """Keys for a field, or paths for a choice of files."""
        self._do("POST", f"element/{self._find(selector)}/value", {"text": text})

    def choose_files(self, selector: str, files: list[Path]) -> None:
        """Files as the dialog of a browser gives them."""
        self.type(selector, "\n".join(str(one) for one in files))

    def narrow(self, width: int, height: int) -> None:
        """A window as a telephone has it."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._do("POST", "goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": metrics})

    def picture(self, path: Path) -> None:
        """What it shows now."""
        path.write_bytes(base64.b64decode(self._do("GET", "screenshot")))

    def complaints(self) -> list[str]:
        """What the page wrote to its console as errors: scripts, and what the content policy refused."""
        return [str(one["message"]) for one in self._do("POST", "se/log", {"type": "browser"}) if one["level"] == "SEVERE"]


@contextlib.contextmanager
def a_browser(folder: Path) -> Iterator[Browser]:
    """A browser for the time of a block."""
    port = a_free_port()
    argv = [program("chromedriver", "chromium-driver"), f"--port={port}"]
    options = {
        "binary": program("chromium", "chromium"),
        "args": [
            *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
            *("--disable-background-networking", "--disable-component-update", f"--user-data-dir={folder / 'profile'}"),
        ],
    }
    wanted = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
    with (
        running(argv, lambda: answers(port), folder / "chromedriver.log"),
        httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120) as client,
    ):
        begun = client.post("/session", json={"capabilities": {"alwaysMatch": wanted}})
        begun.raise_for_status()
        session = begun.json()["value"]["sessionId"]
        try:
            yield Browser(client, session)
        finally:
            client.delete(f"/session/{session}")
