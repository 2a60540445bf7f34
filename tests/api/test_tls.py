"""HTTPS at the real process: first boot, rotation, other people's tools."""

import asyncio
import json
import os
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from api.presented import Presented, addresses
from appliance import settings
from appliance.house import House, open_house
from appliance.moments import now_ms
from appliance.records import audit, events
from tests.api import elsewhere
from tests.api.front import PATIENCE_S, Serving, serving
from tests.certificates import Pair, make
from tests.house.tree import ROOT
from tests.servers import program


async def test_first_boot_presents_a_certificate_of_its_own_and_plain_http_stays_on_this_machine(
    tmp_path: Path, free_port: int
) -> None:
    """UI-09: self-signed at first boot; plain HTTP from elsewhere is sent on or refused."""
    async with serving(tmp_path / "home", free_port) as api:
        own = (tmp_path / "home" / "keys" / "https.pem").read_text()
        trust = own[own.index("-----BEGIN CERTIFICATE") :]
        async with api.client(trust) as client:
            answer = await client.get("/health")
            assert answer.status_code == 200
            assert "strict-transport-security" not in answer.headers, "a browser would refuse our own certificate for ever"
            shown = (await client.get("/api/certificate")).json()
            assert (shown["own"], shown["in_force"], shown["trouble"]) == (True, True, "")
            assert "localhost" in shown["names"]
        async with api.client(scheme="http") as client:
            assert (await client.get("/health")).status_code == 200, "the console of this machine"
        await _from_elsewhere(api, tmp_path / "alone")


async def test_the_command_line_checks_sets_and_removes(tmp_path: Path, free_port: int) -> None:
    """UI-09: with the sentence and the exit code of every other command."""
    root = make("root", authority=True)
    own, stranger = make(by=root), make()
    files = {"own.pem": own.certificate, "own.key": own.key, "other.key": stranger.key, "ca.pem": root.certificate}
    for name, text in files.items():
        _written(tmp_path / name, text)
    async with serving(tmp_path / "home", free_port) as api:
        code, said = await _ranvier(api, tmp_path, "check", "own.pem", "other.key")
        assert code != 0
        assert "the private key belongs to another certificate" in said
        code, said = await _ranvier(api, tmp_path, "set", "own.pem", "own.key", "--authority", "ca.pem")
        assert (code, "CN=ranvier.test" in said) == (0, True), said
        async with api.client(root.certificate) as client:
            assert (await client.get("/health")).status_code == 200
        code, said = await _ranvier(api, tmp_path, "remove")
        assert (code, "its own" in said) == (0, True), said


async def _ranvier(api: Serving, folder: Path, *words: str) -> tuple[int, str]:
    address = {"RANVIER_URL": f"http://127.0.0.1:{api.port}", "RANVIER_TOKEN": api.token, "PYTHONPATH": str(ROOT)}
    command = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tui", "certificate", *words),
        cwd=folder,
        env={**os.environ, **address},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(command.communicate(), PATIENCE_S)
    return command.returncode or 0, said.decode()


async def _from_elsewhere(api: Serving, folder: Path) -> None:
    # A caller with an address that is neither the loopback's nor the one it calls: what another machine looks like.
    outer = [one for one in addresses() if "." in one and not one.startswith("127.")]
    if outer:
        await elsewhere.ask(api, outer[0])
        return
    command = await asyncio.create_subprocess_exec(
        *("unshare", "--map-root-user", "--net", sys.executable, "-m", "tests.api.elsewhere", str(folder)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(command.communicate(), 2 * PATIENCE_S)
    assert command.returncode == 0, said.decode()


async def test_a_certificate_is_changed_without_restart_and_without_dropping_anybody(tmp_path: Path, free_port: int) -> None:
    """UI-09: rotation; a connection and a stream of before go on, the next caller meets the new certificate."""
    root = make("root", authority=True)
    first, second = make(by=root), make(by=root)
    async with serving(tmp_path / "home", free_port, hsts=True) as api:
        async with api.client() as before, before.stream("GET", "/api/events") as stream:
            lines = stream.aiter_lines()
            assert await anext(lines)
            answer = await api.use(first, root.certificate)
            assert (answer.status_code, answer.json()["own"]) == (200, False), answer.text
            async with api.client(root.certificate) as client:
                shown = (await client.get("/api/certificate")).json()
                assert "strict-transport-security" in (await client.get("/health")).headers
                assert (await api.use(second, root.certificate)).status_code == 200
                after = (await client.get("/api/certificate")).json()
                assert after["fingerprint"] != shown["fingerprint"], "answered on the connection of before"
            while "certificate-in-force" not in await asyncio.wait_for(anext(lines), PATIENCE_S):
                continue
        said = await _openssl(api.port, _written(tmp_path / "root.pem", root.certificate))
        assert "Verify return code: 0 (ok)" in said
        async with api.client() as client:
            refused = await client.put("/api/certificate", json={"certificate": first.certificate, "key": second.key})
            assert (refused.status_code, refused.json()["fields"][0]["field"]) == (422, "key")
            checked = await client.post("/api/certificate/check", json={"certificate": first.certificate, "key": first.key})
            assert (checked.status_code, checked.json()["in_force"]) == (200, False)
            assert (await client.delete("/api/certificate")).json()["own"] is True
            assert first.key.splitlines()[1] not in (await client.get("/api/settings")).text
    async with open_house(tmp_path / "home") as house:
        written = [(row.action, row.result) async for row in audit.in_order()]
        # The process that served tells of its beginning and end.
        done = [one for one in written if not one[0].startswith("process.")]
        assert done == [("certificate.set", "done")] * 2 + [("certificate.remove", "done")]
        row = await house.records.run("SELECT document FROM settings ORDER BY version LIMIT 1 OFFSET 1")
        assert first.key.splitlines()[1] not in str(row[0]["document"]), "the key is sealed"


async def _openssl(port: int, authority: Path) -> str:
    arguments = ["-connect", f"127.0.0.1:{port}", "-servername", "localhost", "-CAfile", str(authority), "-verify_return_error"]
    client = await asyncio.create_subprocess_exec(
        program("openssl", "openssl"),
        "s_client",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    return (await asyncio.wait_for(client.communicate(), PATIENCE_S))[0].decode()


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


async def test_sslscan_finds_nothing_weak(tmp_path: Path, free_port: int) -> None:
    """UI-09: TLS 1.2 and newer, strong ciphers and curves only."""
    async with serving(tmp_path / "home", free_port) as api:
        scan = await asyncio.create_subprocess_exec(
            program("sslscan", "sslscan"), "--xml=-", "--no-colour", f"127.0.0.1:{api.port}", stdout=asyncio.subprocess.PIPE
        )
        said, _ = await asyncio.wait_for(scan.communicate(), PATIENCE_S)
    found = ElementTree.fromstring(said.decode())
    enabled = {one.get("version") for one in found.iter("protocol") if one.get("enabled") == "1" and one.get("type") == "tls"}
    assert enabled == {"1.2", "1.3"}
    assert not [one for one in found.iter("protocol") if one.get("type") == "ssl" and one.get("enabled") == "1"]
    ciphers = {(one.get("cipher"), one.get("strength")) for one in found.iter("cipher")}
    assert ciphers
    assert {strength for _, strength in ciphers} <= {"strong", "acceptable"}, ciphers
    assert all("GCM" in str(name) or "CHACHA20" in str(name) for name, _ in ciphers), ciphers
    assert {one.get("supported") for one in found.iter("compression")} <= {"0"}
    assert min(int(str(one.get("bits"))) for one in found.iter("group")) >= 112, "RFC 9325 section 4.3"
    assert [one.get("supported") for one in found.iter("renegotiation")] == ["0"]
    assert {one.get("vulnerable") for one in found.iter("heartbleed")} <= {"0"}


async def test_a_stored_certificate_that_cannot_be_used_closes_no_door(tmp_path: Path) -> None:
    """A restored configuration may hold one: the fault is told, and the door goes on with what it has."""
    pair, late = make(), make(first_day=-9, last_day=0.5)
    async with open_house(tmp_path / "home", create=True) as house:
        presented = Presented(house)
        await presented.refresh()
        own = presented.facts
        with pytest.raises(settings.SettingsRefused, match="another certificate"):
            await _save(house, pair.certificate, late.key, 0)
        await _save(house, late.certificate, late.key, 0)
        # As a row of an older version would stand there, which checked less.
        await house.records.run("UPDATE settings SET document = REPLACE(document, {}, {})", _line(late), _line(pair))
        await presented.refresh()
        assert presented.facts == own
        assert "mismatch" in presented.trouble
        assert [one.name for one in await events.after(0)][-1] == "certificate-unusable"


async def _save(house: House, certificate: str, key: str, version: int) -> None:
    change = {"access": {"tls_certificate": certificate, "tls_key": key}}
    result, changed = settings.patched((await house.settings()).settings, change)
    await house.save(result, based_on=version, actor="test", now=now_ms(), changed=changed)


def _line(pair: Pair) -> str:
    return json.dumps(pair.certificate)[1:-1]
