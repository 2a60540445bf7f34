"""The test buttons over HTTP, and the command line's words for settings, against the real API."""

import asyncio
import os
import sys
import tomllib
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable
from pathlib import Path

from pydicom import dcmread

from appliance.access.tokens import create_token
from appliance.moments import now_ms
from appliance.records import audit
from appliance.specimen import PATIENT_ID, PATIENT_NAME
from tests.api.conftest import Door, served
from tests.servers import StoreScp
from tui.flows import TEST_PATIENT


async def _settings_words(door: Door, url: str) -> Callable[..., Awaitable[tuple[int, str, str]]]:
    """`ranvier settings ...` as an administrator's machine: exit code, output, what was said."""
    token = (await create_token(door.house.keys, "machine", "admin", created_by="test", now=now_ms())).secret

    async def ranvier(*words: str, **more: str) -> tuple[int, str, str]:
        environment = {**os.environ, "RANVIER_URL": url, "RANVIER_TOKEN": token, **more}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tui", "settings", *words), env=environment, stdin=DEVNULL, stdout=PIPE, stderr=PIPE
        )
        out, said = await process.communicate()
        return process.returncode or 0, out.decode(), said.decode()

    return ranvier


async def test_every_test_answers_with_sentences_and_stands_in_the_audit(door: Door, free_port: int) -> None:
    """Test buttons."""
    asked: dict[str, dict[str, object]] = {
        "echo": {"host": "127.0.0.1", "port": free_port},
        "delivery": {"protocol": "dicom-pdf", "name": "pacs", "host": "127.0.0.1", "port": free_port},
        "notification": {"protocol": "apprise", "url": "file:///etc/passwd"},
        "saml": {"idp_metadata_url": "http://169.254.169.254/latest/meta-data"},
        "cloud": {"api_url": "http://localhost:1", "service_user": "a", "service_password": "b"},
        "malware": {"port": free_port},
    }
    for what, body in asked.items():
        answer = await door.call("admin", "POST", f"/api/settings/test/{what}", json=body)
        assert (answer.status_code, answer.json()["ok"]) == (200, False), what
        assert answer.json()["lines"]
        assert (await door.call("user", "POST", f"/api/settings/test/{what}", json=body)).status_code == 403
    noted = [(row.target, row.result) async for row in audit.in_order() if row.action.endswith(".test")]
    assert noted == [(what, "failed") for what in asked]
    assert (await door.get("/api/settings"))["version"] == 0


async def test_a_test_that_does_not_exist_and_values_that_are_wrong_are_refused(door: Door) -> None:
    assert (await door.call("admin", "POST", "/api/settings/test/pigeon", json={})).status_code in (400, 404)
    wrong = await door.call("admin", "POST", "/api/settings/test/cloud", json={"api_url": "ftp://x", "colour": "red"})
    assert (wrong.status_code, {one["field"] for one in wrong.json()["fields"]}) == (422, {"cloud.api_url", "cloud.colour"})


async def test_the_command_line_tests_exports_imports_compares_and_restores(
    door: Door, tmp_path: Path, storescp: StoreScp
) -> None:
    """UI-04: by hand, in a script."""
    async with served(door.app) as url:
        ranvier = await _settings_words(door, url)
        where = (f"host={storescp.host}", f"port={storescp.port}", f"called_ae={storescp.ae_title}")
        code, out, _ = await ranvier("test", "echo", *where)
        assert (code, "C-ECHO succeeded." in out) == (0, True)
        assert (await ranvier("set", "site.name=one"))[0] == 0
        assert (await ranvier("set", "site.name=two"))[0] == 0
        assert (await ranvier("set", "receive.port=0"))[0] == 65
        assert (await ranvier("diff", "1", "2"))[1] == "site.name: one -> two\n"
        file = tmp_path / "settings.toml"
        assert (await ranvier("export", str(file)))[0] == 0
        assert tomllib.loads(file.read_text())["site"]["name"] == "two"
        assert file.stat().st_mode & 0o077 == 0
        assert "site.name: two -> one" in (await ranvier("restore", "1"))[1]
        assert "would change" in (await ranvier("import", str(file), "--dry-run"))[2]
        assert (await ranvier("get", "site.name"))[1] == "one\n"
        assert "site.name: one -> two" in (await ranvier("import", str(file)))[1]
        assert "sealed" not in (await ranvier("export", RANVIER_PASSPHRASE="a passphrase of some length"))[1]
        assert (await ranvier("import", str(tmp_path / "none")))[0] == 73


async def test_a_marked_test_object_is_stored_after_consent_and_never_without(door: Door, storescp: StoreScp) -> None:
    """RES-02: storing is a second button, which names the test patient and asks; what arrives is marked as nobody's."""
    where = {"name": "PACS", "host": storescp.host, "port": storescp.port, "called_ae": storescp.ae_title}
    wanted = {"destination": {"protocol": "dicom-pdf", **where}}
    path = "/api/delivery/test-object"
    asked = await door.call("admin", "POST", path, json=wanted)
    assert (asked.status_code, asked.json()["code"]) == (409, "test-object-not-agreed")
    assert all(one in asked.json()["detail"] for one in ("PACS", PATIENT_NAME, PATIENT_ID))
    consent = {**wanted, "patient": TEST_PATIENT}
    assert (await door.call("user", "POST", path, json=consent)).status_code == 403
    rest = {"destination": {"protocol": "rest", "name": "HIS", "url": "https://his.example"}, "patient": TEST_PATIENT}
    assert (await door.call("admin", "POST", path, json=rest)).json()["fields"][0]["field"] == "protocol"
    async with served(door.app) as url:
        ranvier = await _settings_words(door, url)
        fields = [f"{key}={value}" for key, value in {"protocol": "dicom-sr", **where}.items()]
        code, out, said = await ranvier("test", "object", *fields)
        assert (code, PATIENT_ID in said) == (1, True)
        assert not storescp.files(), "nothing so far"
        code, out, said = await ranvier("test", "object", *fields, "--yes")
        assert (code, "was stored" in out) == (0, True), out + said
    answer = (await door.call("admin", "POST", path, json=consent)).json()
    assert answer["ok"], answer
    kept = [dcmread(one) for one in storescp.files()]
    assert {one.Modality for one in kept} == {"SR", "DOC"}
    assert {(one.PatientID, str(one.PatientName)) for one in kept} == {(PATIENT_ID, PATIENT_NAME)}
    assert len({one.StudyInstanceUID for one in kept}) == 1
    assert all("TEST" in one.StudyDescription for one in kept)
    noted = [(row.action, row.result) async for row in audit.in_order() if row.action == "delivery.test-object"]
    assert noted == [("delivery.test-object", "done")] * 2
    assert not list((door.house.storage.root / "scratch").iterdir())
