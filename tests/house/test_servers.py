"""The servers that other tests stand on come up, work, and are gone afterwards."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.servers import HOST, Orthanc, StoreScp, a_storescp, answers, postgres, program, running, until


def _echo(port: int, ae_title: str) -> int:
    return subprocess.run([program("echoscu", "dcmtk"), "-aec", ae_title, HOST, str(port)], timeout=30).returncode


def test_a_storescp_answers_until_its_block_ends(tmp_path: Path) -> None:
    with a_storescp(tmp_path / "pacs", ae_title="ARCHIVE") as server:
        assert _echo(server.port, "ARCHIVE") == 0
        assert server.files() == []
    assert not answers(server.port)


def test_the_storescp_fixture_is_up(storescp: StoreScp) -> None:
    assert _echo(storescp.port, storescp.ae_title) == 0


def test_an_orthanc_can_be_asked_over_http_and_echoed_over_dicom(orthanc: Orthanc) -> None:
    assert orthanc.get("/system")["DicomAet"] == "ORTHANC"
    assert orthanc.get("/studies") == []
    assert _echo(orthanc.port, orthanc.ae_title) == 0


async def test_each_test_gets_a_database_of_its_own(postgres_server: Callable[[], str]) -> None:
    first, second = postgres_server(), postgres_server()
    assert first != second
    for url in (first, second):
        connection = await asyncpg.connect(url)
        await connection.execute("CREATE TABLE mine (id INTEGER)")
        await connection.close()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """An empty folder that every user can enter; pytest's own are for one user."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_database_server_leaves_no_process_and_no_folder(monkeypatch: pytest.MonkeyPatch, open_folder: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(open_folder))
    with postgres() as create:
        port = int(create().rpartition(":")[2].partition("/")[0])
        assert answers(port)
    assert not answers(port)
    assert list(open_folder.iterdir()) == []


def test_a_server_that_ends_at_once_shows_what_it_said(tmp_path: Path) -> None:
    argv = ["/bin/sh", "-c", "echo the port is taken; exit 3"]
    with pytest.raises(pytest.fail.Exception, match="ended with 3: the port is taken"), running(argv, bool, tmp_path / "log"):
        pass


def test_waiting_for_what_does_not_come_ends_with_its_name() -> None:
    with pytest.raises(TimeoutError, match="the door opens: not within 0 s"):
        until(bool, "the door opens", seconds=0.05)
