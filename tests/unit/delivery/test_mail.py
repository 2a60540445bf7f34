"""Reports by e-mail, against aiosmtpd in its good moods and failing at each verb."""

import contextlib
import ssl
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from appliance.delivery import destinations
from appliance.delivery.parcel import Outcome, Result
from appliance.delivery.section import Email
from appliance.fields import Secret
from tests.certificates import make
from tests.servers import HOST, a_free_port
from tests.unit.delivery.parcels import PHI, a_parcel

OUR = make("mail.test")


class Box:
    """A mail server's box that refuses at the verbs it is told to."""

    def __init__(self, **refusals: str) -> None:
        self.refusals = refusals
        self.got: list[Any] = []

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> list[str]:
        if "EHLO" in self.refusals:
            return [self.refusals["EHLO"]]
        session.host_name = hostname
        return responses

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if "MAIL" in self.refusals:
            return self.refusals["MAIL"]
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
        if "RCPT" in self.refusals and not (self.refusals.get("only") and address.startswith("a@")):
            return self.refusals["RCPT"]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if "DATA" in self.refusals:
            return self.refusals["DATA"]
        self.got.append(message_from_bytes(envelope.content, policy=policy.default))
        if self.refusals.pop("after DATA", None):
            server.transport.abort()
        return "250 OK"


@contextlib.contextmanager
def a_server(box: Any, folder: Path, *, starttls: bool = True, kind: type[SMTP] = SMTP, **more: Any) -> Iterator[int]:
    """aiosmtpd on a free port, with STARTTLS unless somebody stripped it."""
    (folder / "mail.pem").write_text(OUR.certificate + OUR.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "mail.pem")
    tls: dict[str, Any] = {"tls_context": context, "require_starttls": True} if starttls else {}

    class Server(Controller):
        def factory(self) -> SMTP:
            return kind(self.handler, **self.SMTP_kwargs)

    controller = Server(box, hostname=HOST, port=a_free_port(), ready_timeout=30, **tls, **more)
    controller.start()
    try:
        yield controller.port
    finally:
        controller.stop()


def to(port: int, **changes: Any) -> Email:
    how = {"authority": OUR.certificate, "timeout_s": 10, **changes}
    return Email(name="Mail", host=HOST, port=port, sender="r@site.example", recipients="a@site.example, b@site.example", **how)


async def sent(box: Box, folder: Path, **changes: Any) -> Outcome:
    with a_server(box, folder) as port:
        return await destinations.send(a_parcel(folder), to(port, **changes))


async def test_a_report_arrives_as_attachments_over_starttls(tmp_path: Path) -> None:
    """RES-02: e-mail with templated subject and text, the formats attached."""
    box = Box()
    outcome = await sent(
        box, tmp_path, formats=("pdf", "json"), subject="$kind $order: $verdict", text="FA $fa_mean\n$nothing\n"
    )
    assert outcome.result is Result.SENT
    (message,) = box.got
    assert (message["Subject"], message["To"]) == ("report 019a: passed", "a@site.example, b@site.example")
    assert message["Message-ID"] == "<key-1@ranvier.invalid>"
    assert message.get_body().get_content().splitlines() == ["FA 0.4", "$nothing"]
    files = {one.get_filename(): one.get_content() for one in message.iter_attachments()}
    assert files["019a_report.pdf"] == b"%PDF-1.4 report"
    assert set(files) == {"019a_report.pdf", "019a_report.json"}


VERBS = [
    ({"EHLO": "421 4.3.2 too busy " + PHI}, Result.TRY_AGAIN),
    ({"EHLO": "554 5.7.1 no service " + PHI}, Result.REFUSED),
    ({"MAIL": "451 4.7.1 greylisted " + PHI}, Result.TRY_AGAIN),
    ({"MAIL": "550 5.7.1 not you " + PHI}, Result.REFUSED),
    ({"RCPT": "450 4.2.0 later " + PHI}, Result.TRY_AGAIN),
    ({"RCPT": "550 5.1.1 nobody " + PHI}, Result.REFUSED),
    ({"RCPT": "550 5.1.1 nobody " + PHI, "only": "b"}, Result.SENT_WITH_WARNING),
    ({"DATA": "452 4.3.1 full " + PHI}, Result.TRY_AGAIN),
    ({"DATA": "554 5.6.0 no attachments " + PHI}, Result.REFUSED),
    ({"DATA": "421 4.3.0 going down " + PHI}, Result.TRY_AGAIN),
]


@pytest.mark.parametrize(("refusals", "result"), VERBS)
async def test_each_verb_can_fail_for_now_or_for_good(refusals: dict[str, str], result: Result, tmp_path: Path) -> None:
    """Faults row 22: greylisting and 5yz; the server's own words are never repeated."""
    outcome = await sent(Box(**refusals), tmp_path)
    assert outcome.result is result
    assert PHI not in outcome.answer


async def test_a_message_whose_answer_was_lost_is_sent_again_under_the_same_name(tmp_path: Path) -> None:
    """RES-04, faults row 22: the connection ends after DATA; the Message-ID lets mail systems know the second as the first."""
    box = Box(**{"after DATA": "broken"})
    with a_server(box, tmp_path) as port:
        lost = await destinations.send(a_parcel(tmp_path), to(port))
        again = await destinations.send(a_parcel(tmp_path), to(port))
    assert (lost.result, again.result) == (Result.TRY_AGAIN, Result.SENT)
    assert [one["Message-ID"] for one in box.got] == ["<key-1@ranvier.invalid>"] * 2


@pytest.mark.parametrize(("code", "result"), [("454 4.7.0", Result.TRY_AGAIN), ("535 5.7.8", Result.REFUSED)])
async def test_a_sign_in_can_fail_for_now_or_for_good(code: str, result: Result, tmp_path: Path) -> None:
    """Faults row 22: AUTH (RFC 4954 section 6)."""
    box = Box()

    def refuses(*_: object) -> AuthResult:
        return AuthResult(success=False, handled=False, message=f"{code} {PHI}")

    with a_server(box, tmp_path, authenticator=refuses) as port:
        outcome = await destinations.send(a_parcel(tmp_path), to(port, user="ranvier", password=Secret("x")))
    assert outcome.result is result, outcome.answer
    assert PHI not in outcome.answer
    assert box.got == []


async def test_a_server_whose_starttls_was_stripped_gets_nothing(tmp_path: Path) -> None:
    """Faults row 22: never in the clear."""
    box = Box()
    with a_server(box, tmp_path, starttls=False) as port:
        outcome = await destinations.send(a_parcel(tmp_path), to(port))
    assert outcome.result is Result.REFUSED
    assert "STARTTLS" in outcome.answer
    assert box.got == []


class WithoutTls(SMTP):
    """Offers STARTTLS and refuses it, or breaks off in the handshake."""

    answer = ""

    async def smtp_STARTTLS(self, arg: str) -> None:
        """RFC 3207 section 4."""
        if self.answer:
            await self.push(self.answer)
            return
        await self.push("220 go ahead")
        transport: Any = self.transport
        transport.abort()


@pytest.mark.parametrize(
    ("answer", "result"),
    [("454 4.7.0 not now " + PHI, Result.TRY_AGAIN), ("501 5.5.4 never " + PHI, Result.REFUSED), ("", Result.TRY_AGAIN)],
)
async def test_a_refused_or_broken_starttls_sends_nothing(
    answer: str, result: Result, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Faults row 22: refused for now, refused for good, cut in the handshake; never in the clear."""
    box = Box()
    monkeypatch.setattr(WithoutTls, "answer", answer)
    with a_server(box, tmp_path, kind=WithoutTls) as port:
        outcome = await destinations.send(a_parcel(tmp_path), to(port))
    assert outcome.result is result, outcome.answer
    assert PHI not in outcome.answer
    assert box.got == []


async def test_a_certificate_that_is_not_trusted_gets_nothing(tmp_path: Path) -> None:
    box = Box()
    outcome = await sent(box, tmp_path, authority=make("other").certificate)
    assert outcome.result is Result.TRY_AGAIN
    assert "not trusted" in outcome.answer
    assert box.got == []


async def test_mail_without_encryption_needs_leave_and_never_names_the_patient(tmp_path: Path) -> None:
    """RES-05: e-mail with identity needs TLS and the setting."""
    box = Box()
    with a_server(box, tmp_path, starttls=False) as port:
        plain = await destinations.send(a_parcel(tmp_path), to(port, security="none"))
        named = await destinations.send(
            a_parcel(tmp_path), to(port, security="none", allow_plain=True, identity_in_reports=True)
        )
        allowed = await destinations.send(a_parcel(tmp_path), to(port, security="none", allow_plain=True))
    assert [one.result for one in (plain, named, allowed)] == [Result.REFUSED, Result.REFUSED, Result.SENT]
    assert len(box.got) == 1


@pytest.mark.parametrize(("field", "text"), [("subject", "Report of $patient_name"), ("text", "Born $birth_date")])
async def test_a_template_that_names_the_patient_is_refused(field: str, text: str, tmp_path: Path) -> None:
    box = Box()
    assert (await sent(box, tmp_path, **{field: text})).result is Result.REFUSED
    assert box.got == []


async def test_no_value_begins_a_header_or_a_line(tmp_path: Path) -> None:
    box = Box()
    evil = a_parcel(tmp_path, values={"verdict": "passed\r\nBcc: thief@evil.example\r\n\r\nhello"})
    with a_server(box, tmp_path) as port:
        outcome = await destinations.send(evil, to(port, subject="$verdict", text="$verdict\n"))
    assert outcome.result is Result.SENT
    assert box.got[0]["Bcc"] is None
    assert len(box.got[0].get_body().get_content().splitlines()) == 1


async def test_the_test_of_a_destination_goes_up_to_the_recipients_and_sends_nothing(tmp_path: Path) -> None:
    """RES-02: 'Test delivery'."""
    box = Box()
    with a_server(box, tmp_path) as port:
        good = await destinations.probe(to(port))
        signed_in = await destinations.probe(to(port, user="u", password=Secret("pw")))
    with a_server(Box(RCPT="550 nobody"), tmp_path) as port:
        bad = await destinations.probe(to(port))
    assert good.ok
    assert not signed_in.ok
    assert "refused 2 of the recipients (550)" in bad.lines[-1]
    assert box.got == []
