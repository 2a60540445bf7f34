"""The audit as DICOM audit messages: what they say, and that a repository gets every row once it can be reached."""

import asyncio
import base64
import re
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree
from pydicom.sr.codedict import codes as dicom_codes

from appliance import audit, settings, trail
from appliance.atna import codes, message
from appliance.atna.message import Subject
from appliance.house import House, open_house
from appliance.records import events, identities
from appliance.records.audit import AuditEntry
from appliance.records.identities import PatientIdentity
from appliance.records.tables import Study
from tests import certificates
from tests.certificates import Pair
from tests.collectors import a_collector, lines_of
from tests.house.tree import ROOT
from tests.servers import a_free_port, until

NOW = 1_790_000_000_000
STUDY = "019a0000-0000-7000-8000-000000000001"
SCHEMA = etree.RelaxNG(etree.parse(ROOT / "tests" / "conformance" / "audit-message.rng"))


@pytest.fixture
async def house(new_home: Path) -> AsyncIterator[House]:
    async with open_house(new_home, create=True) as opened:
        yield opened


def _valid(content: bytes) -> "etree._Element":
    root = etree.fromstring(content)
    assert SCHEMA.validate(root), SCHEMA.error_log
    return root


def _entry(action: str, target: str = STUDY, result: str = "done", detail: str = "why", actor: str = "anna") -> AuditEntry:
    return AuditEntry(
        seq=812,
        at=NOW,
        actor=actor,
        action=action,
        target=target,
        origin="10.0.0.9",
        result=result,
        detail=detail,
        hash="ab" * 32,
    )


# --- what messages say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", sorted(codes.KINDS))
def test_every_action_makes_a_message_of_the_schema(action: str) -> None:
    """PS3.15 section A.5.1; the schema is written down anew from its tables."""
    for subject in (None, Subject(study=STUDY, patient="p"), Subject(study=STUDY, patient="p", study_uid="1.2")):
        for target in ("", STUDY):
            root = _valid(message.xml(_entry(action, target), "gw01", subject))
            assert root.find("EventIdentification").get("EventDateTime") == "2026-09-21T14:13:20.000Z"
            assert [one.get("UserIsRequestor") for one in root.findall("ActiveParticipant")] == ["true", "false"]


@given(st.text(), st.text(), st.text(), st.text())
def test_no_text_breaks_out_of_a_message(actor: str, target: str, detail: str, result: str) -> None:
    texts = [one.encode("utf-8", "replace").decode() for one in (actor, target, detail, result)]
    entry = _entry("settings.change", texts[1], texts[3], texts[2], texts[0])
    _valid(message.xml(entry, "gw01"))


def test_codes_have_the_meaning_that_the_standard_gives_them() -> None:
    """PS3.16 Annex D, as pydicom has it."""
    known = {one.value: one.meaning for one in (getattr(dicom_codes.DCM, name) for name in dicom_codes.DCM.dir())}
    ours = [one for one in vars(codes).values() if isinstance(one, codes.Code) and one.system == "DCM"]
    assert len(ours) > 20
    assert {one.value: one.meaning for one in ours} == {one.value: known[one.value] for one in ours}


def test_every_action_of_the_code_has_a_kind() -> None:
    """A new action without one would be sent as a use of a restricted function."""
    call = re.compile(
        r"(?:\.append|append_each|\.note|\.audited|_audited|_change)\(\s*"
        r'(?:[\w.\[\]()" ]+,\s*)?"([a-z][a-z-]*(?:\.[a-z-]+)?)"'
    )
    found = set()
    for folder in ("appliance", "api"):
        for path in (ROOT / folder).rglob("*.py"):
            found |= set(call.findall(path.read_text()))
    named = {one for one in found if "." in one} | {"sign-in", "sign-out", "access-token", "association"}
    assert len(named) > 30
    unknown = [one for one in sorted(named) if codes.kind_of(one) is codes.OTHER]
    assert unknown == [], "give them a place in KINDS or FAMILIES of appliance/atna/codes.py"


@pytest.mark.parametrize(
    ("action", "event", "letter", "kind"),
    [
        ("sign-in", "110114", "E", "110122"),
        ("process.start", "110100", "E", "110120"),
        ("audit.export", "110101", "R", None),
        ("identity.reveal", "110110", "R", None),
        ("study.received", "110104", "C", None),
        ("dicomweb.search", "110112", "E", None),
        ("delivery.sent", "110106", "R", None),
        ("study.deleted", "110105", "D", None),
        ("association", "110113", "E", "110126"),
        ("user.create", "110113", "E", "110136"),
    ],
)
def test_actions_become_the_events_of_the_standard(action: str, event: str, letter: str, kind: str | None) -> None:
    """PS3.15 section A.5.3."""
    root = _valid(message.xml(_entry(action, result="locked"), "gw01"))
    found = root.find("EventIdentification")
    assert (found.find("EventID").get("csd-code"), found.get("EventActionCode")) == (event, letter)
    assert found.get("EventOutcomeIndicator") == "12"
    types = [one.get("csd-code") for one in found.findall("EventTypeCode")]
    assert types == ([kind] if kind else [])


def test_a_message_carries_the_row_so_that_the_chain_can_be_followed() -> None:
    root = _valid(message.xml(_entry("settings.change", "settings/5"), "gw01"))
    (one,) = root.findall("ParticipantObjectIdentification")
    details = {
        each.get("type"): base64.b64decode(each.get("value")).decode() for each in one.findall("ParticipantObjectDetail")
    }
    assert details == {"row": "812", "hash": "ab" * 32, "action": "settings.change", "target": "settings/5", "detail": "why"}


# --- how they travel ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority() -> Pair:
    return certificates.make("authority", authority=True)


async def _configure(house: House, authority: Pair, port: int, **more: object) -> None:
    ours = certificates.make("gateway", by=authority)
    change = {
        "syslog": "tls",
        "syslog_host": "127.0.0.1",
        "syslog_port": port,
        "syslog_authority": authority.certificate,
        "syslog_certificate": ours.certificate,
        "syslog_key": ours.key,
        "messages": True,
        **more,
    }
    loaded = await house.settings()
    result, changed = settings.patched(loaded.settings, {"audit": change})
    await house.save(result, based_on=loaded.version, actor="test", now=NOW, changed=changed)


async def _rows(count: int) -> None:
    for number in range(count):
        await audit.append("anna", "identity.reveal", STUDY, "done", "10.0.0.9", NOW + number)


def _numbers(lines: list[str]) -> list[int]:
    return [int(found[1]) for line in lines if (found := re.search(r'\[audit@32473 row="(\d+)"', line))]


def _ends_with(lines: list[str], number: int) -> bool:
    return "|anchor|" in lines[-1] and _numbers(lines)[-1] == number


async def _published(house: House) -> int:
    """Tries as often as the clock would: a young rsyslog now and then breaks a connection off, and says so by no TLS."""
    async with asyncio.timeout(60):
        while not (taken := await trail.publish(house, NOW)):
            await asyncio.sleep(0.05)
    return taken


async def test_a_repository_gets_every_row_in_order_however_often_it_was_away(
    house: House, authority: Pair, tmp_path: Path
) -> None:
    """DICOM audit messages by syslog over mutual TLS (ITI-20) to Debian's rsyslog; rows that waited come in order."""
    port = a_free_port()
    await _configure(house, authority, port)
    await _rows(3)
    assert await trail.publish(house, NOW) == 0
    assert await trail.publish(house, NOW) == 0
    told = [one.name for one in await events.after(0) if one.name.startswith("audit-trail")]
    assert told == ["audit-trail-waits"], "once, however often it is tried"
    with a_collector(tmp_path, authority=authority, server=certificates.make(by=authority), port=port) as (_, received):
        assert await _published(house) == 3
        assert await trail.publish(house, NOW) == 0, "what was taken is not sent again"
        await _rows(2)
        assert await _published(house) == 2
        # The last row and the anchor behind it; what was broken off stands there twice.
        until(lambda: _ends_with(lines_of(received, 7), 5), "the fifth row and its anchor")
        lines = lines_of(received, 7)
    assert list(dict.fromkeys(_numbers(lines))) == [1, 2, 3, 4, 5]
    for line in lines:
        priority, version, program, kind, data, text = line.split("|", 5)
        if kind == "anchor":
            continue
        assert (version, program, kind) == ("1", "ranvier", "DICOM+RFC3881")
        assert "notice" in priority
        assert '[meta sequenceId="' in data
        _valid(text[text.index("<?xml") :].encode())
    kept = re.findall(r"ranvier-audit-1:[\w:]+", lines[-1])[0]
    assert (await audit.verify(audit.read_anchor(house.keys, kept))).ok, "an anchor goes with them"
    assert [one.name for one in await events.after(0)][-1] == "audit-trail-resumed"


async def test_patients_are_named_only_where_the_setting_says_so(house: House, authority: Pair) -> None:
    """No patient value leaves unless it is allowed."""
    await Study.insert(Study(id=STUDY, uid_key="k", pseudonym="pseudo", state="STABLE", first_at=NOW, last_at=NOW)).run()
    await identities.put(
        house.keys, STUDY, PatientIdentity(patient_id="MRN-77", patient_name="Doe", study_instance_uid="1.2.840.7")
    )
    await _rows(1)
    for named in (False, True):
        port = a_free_port()
        with _listener(certificates.make(by=authority), port) as heard:
            await _configure(house, authority, port, patients_named=named)
            assert await trail.publish(house, NOW) == 1
        said = b"".join(heard)
        assert (b"MRN-77" in said, b"1.2.840.7" in said) == (named, named)
        assert (b"pseudo" in said) is not named
        assert b"Doe" not in said


async def test_rows_that_were_not_all_read_are_sent_again(house: House, authority: Pair) -> None:
    """A repository that dies in the middle gets the same rows once more, under the same numbers."""
    port = a_free_port()
    await _configure(house, authority, port)
    await _rows(2)
    with _listener(certificates.make(by=authority), port, break_off=True):
        assert await trail.publish(house, NOW) == 0
    with _listener(certificates.make(by=authority), port) as heard:
        assert await trail.publish(house, NOW) == 2
    assert _numbers(b"".join(heard).decode().split("<?xml")) == [1, 2]


async def test_a_repository_that_proves_to_be_another_gets_nothing(house: House, authority: Pair) -> None:
    stranger = certificates.make("stranger", authority=True)
    port = a_free_port()
    await _configure(house, authority, port)
    await _rows(1)
    with _listener(certificates.make(by=stranger), port) as heard:
        assert await trail.publish(house, NOW) == 0
    assert heard == []


@contextmanager
def _listener(server: Pair, port: int, *, break_off: bool = False) -> Iterator[list[bytes]]:
    """A TLS server that reads one connection to its end, or resets it after the first bytes."""
    heard: list[bytes] = []
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    from appliance.certificates import present

    present(context, server.certificate, server.key)
    door = socket.create_server(("127.0.0.1", port))
    door.settimeout(60)

    def serve() -> None:
        try:
            plain, _ = door.accept()
            plain.settimeout(60)
            with context.wrap_socket(plain, server_side=True) as wire:
                if break_off:
                    wire.recv(1)
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
                    return
                while piece := wire.recv(65536):
                    heard.append(piece)
                wire.unwrap()
        except OSError:
            return

    thread = threading.Thread(target=serve)
    with closing(door):
        thread.start()
        yield heard
        thread.join(60)
