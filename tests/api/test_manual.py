"""The manual is served from the wheel, to everybody, without another host."""

import re
from pathlib import Path

from litestar import Litestar
from litestar.testing import TestClient

import appliance
from api.manual import HANDLERS, titles


def test_every_page_of_the_wheel_is_listed_and_served_without_another_host() -> None:
    """UI-05: documentation works offline."""
    pages = {file.stem for file in (Path(appliance.__file__).parent / "docs").glob("*.md")}
    assert set(titles()) == pages
    with TestClient(Litestar(list(HANDLERS))) as client:
        listed = client.get("/docs")
        for page in pages:
            assert f'href="/docs/{page}"' in listed.text
            found = client.get(f"/docs/{page}")
            assert found.status_code == 200
            assert "<h1>" in found.text
            assert not re.search(r'(src|href)="(https?:)?//', found.text)
        assert client.get("/docs/style.css").headers["content-type"].startswith("text/css")


def test_a_page_that_is_not_there_is_not_found() -> None:
    with TestClient(Litestar(list(HANDLERS))) as client:
        assert client.get("/docs/..%2F..%2Fkeys").status_code == 404
        assert client.get("/docs/no-such").status_code == 404
