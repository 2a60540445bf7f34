"""A report by e-mail: one message with the formats attached, over TLS unless the site allows otherwise."""

import asyncio
import smtplib
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from email.utils import formatdate
from pathlib import Path
from string import Template

from appliance.delivery.body import IDENTITY
from appliance.delivery.parcel import CONTENT_TYPES, Outcome, Parcel, Result
from appliance.delivery.rules import check
from appliance.delivery.section import Email
from appliance.errors import Misconfigured
from appliance.mailing import MailServer, connected, passing, words_for, words_for_connection
from appliance.probe import Probe


async def send(parcel: Parcel, section: Email) -> Outcome:
    """Hands the message to the mail server.

    4yz answers and broken connections are tried again, 5yz are REFUSED; when only some recipients are refused it is sent with a
    warning. Every attempt has the same Message-ID, by which mail systems know a message that they have.
    """
    wanted = [one for one in section.formats if one in parcel.files]
    if not wanted:
        return Outcome(
            result=Result.REFUSED, answer=f"This {parcel.kind} has none of the formats {', '.join(section.formats)}."
        )
    try:
        check(section)
        return await asyncio.to_thread(_send, _message(parcel, section, wanted), section)
    except Misconfigured as error:
        return Outcome(result=Result.REFUSED, answer=error.what)


async def probe(section: Email) -> Probe:
    """Connects, encrypts, signs in and has sender and recipients accepted; then takes everything back (RSET). Sends nothing."""
    try:
        check(section)
        return await asyncio.to_thread(_probe, section)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])


def _server(section: Email) -> MailServer:
    return MailServer(section.host, section.port, section.security, section.authority, section.timeout_s)


def _send(message: EmailMessage, section: Email) -> Outcome:
    server = _server(section)
    try:
        with connected(server) as session:
            if section.user:
                session.login(section.user, section.password.reveal())
            refused = session.send_message(message)
    except smtplib.SMTPException as fault:
        result = Result.TRY_AGAIN if passing(fault) else Result.REFUSED
        return Outcome(result=result, answer=words_for(fault, server))
    except (OSError, ValueError) as fault:
        return Outcome(result=Result.TRY_AGAIN, answer=words_for_connection(fault, server))
    if refused:
        words = f"{section.host} took the message but refused {len(refused)} of the recipients."
        return Outcome(result=Result.SENT_WITH_WARNING, answer=words)
    return Outcome(result=Result.SENT, answer=f"{section.host} took the message.")


def _probe(section: Email) -> Probe:
    server, lines = _server(section), list[str]()
    try:
        with connected(server) as session:
            how = "without encryption" if section.security == "none" else "over TLS"
            lines.append(f"{section.host} answered {how}.")
            if section.user:
                session.login(section.user, section.password.reveal())
                lines.append("It accepted user and password.")
            session.ehlo_or_helo_if_needed()
            code, _ = session.mail(section.sender)
            if code != 250:
                return Probe(ok=False, lines=[*lines, f"{section.host} refused the sender's address ({code})."])
            codes = [session.rcpt(one)[0] for one in recipients(section)]
            session.rset()
    except smtplib.SMTPException as fault:
        return Probe(ok=False, lines=[*lines, words_for(fault, server)])
    except (OSError, ValueError) as fault:
        return Probe(ok=False, lines=[*lines, words_for_connection(fault, server)])
    refused = [one for one in codes if one not in (250, 251)]
    if refused:
        return Probe(ok=False, lines=[*lines, f"It refused {len(refused)} of the recipients ({refused[0]})."])
    return Probe(ok=True, lines=[*lines, f"It takes mail for {len(codes)} recipient(s). Nothing was sent by this test."])


def recipients(section: Email) -> list[str]:
    """The addresses, one by one."""
    return [one.strip() for one in section.recipients.split(",") if one.strip()]


def _message(parcel: Parcel, section: Email, wanted: Sequence[str]) -> EmailMessage:
    values = {
        "order": parcel.order,
        "report": parcel.report,
        "kind": parcel.kind,
        "version": str(parcel.version),
        **parcel.values,
    }
    message = EmailMessage()
    message["Subject"] = _filled(section.subject, {name: one for name, one in values.items() if name not in IDENTITY})
    message["From"], message["To"] = section.sender, ", ".join(recipients(section))
    message["Date"] = formatdate()
    message["Message-ID"] = f"<{parcel.idempotency_key}@ranvier.invalid>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(_filled(section.text, values, lines=True))
    for one in wanted:
        main, _, minor = CONTENT_TYPES.get(one, "application/octet-stream").partition("/")
        file = Path(parcel.files[one])
        message.add_attachment(file.read_bytes(), maintype=main, subtype=minor, filename=file.name)
    return message


def _filled(text: str, values: Mapping[str, str], *, lines: bool = False) -> str:
    """Names replaced by values without control characters: no value can begin a new header or line. Unknown names stay."""
    plain = {name: "".join(one if one.isprintable() else " " for one in value) for name, value in values.items()}
    filled = Template(text).safe_substitute(plain)
    return filled if lines else " ".join(filled.split())
