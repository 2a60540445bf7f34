"""Notices by e-mail, and the test of the mail server: encryption, sign-in, sender and recipients, one message that says so."""

import asyncio
import smtplib
import socket
from email.message import EmailMessage
from email.utils import formatdate

from appliance.errors import Misconfigured
from appliance.mailing import MailServer, connected, passing, words_for, words_for_connection
from appliance.notify.letter import Letter, Told
from appliance.notify.section import NotifySection
from appliance.probe import TEST_S, Probe

SUBJECT = "Ranvier: test of the notifications"
TEXT = "This is a test. It was asked for on the settings page of a Ranvier appliance and holds nothing of any patient.\n"


async def probe(section: NotifySection) -> Probe:
    """Sends one test message to the section's recipients."""
    missing = [name for name in ("smtp_host", "sender", "recipients") if not getattr(section, name)]
    if missing:
        return Probe(ok=False, lines=[f"These fields are empty: {', '.join(missing)}."])
    return await asyncio.to_thread(_probe, section)


def _probe(section: NotifySection) -> Probe:
    host, lines = section.smtp_host, list[str]()
    try:
        with connected(_server(section)) as server:
            how = "without encryption" if section.smtp_security == "none" else "over TLS"
            lines.append(f"{host} answered {how}.")
            if section.smtp_user:
                server.login(section.smtp_user, section.smtp_password.reveal())
                lines.append("It accepted user and password.")
            refused = server.send_message(_message(section))
    except Misconfigured as error:
        return Probe(ok=False, lines=[*lines, error.what, error.advice])
    except smtplib.SMTPException as fault:
        return Probe(ok=False, lines=[*lines, words_for(fault, _server(section))])
    except (OSError, ValueError) as fault:
        return Probe(ok=False, lines=[*lines, words_for_connection(fault, _server(section))])
    if refused:
        return Probe(ok=False, lines=[*lines, f"It refused {len(refused)} of the recipients."])
    count = len(section.recipients.split(","))
    return Probe(ok=True, lines=[*lines, f"It took the test for {count} recipient{'s' if count > 1 else ''}."])


async def send(section: NotifySection, letter: Letter) -> Told:
    """Hands one message to the mail server; 4yz answers and broken connections are worth another attempt."""
    if not section.smtp_host or not section.sender or not section.recipients:
        return Told(ok=False, again=False, words="Mail server, sender or recipients are not set.")
    return await asyncio.to_thread(_send, section, letter)


def _send(section: NotifySection, letter: Letter) -> Told:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = letter.title, section.sender, section.recipients
    message["Date"], message["Message-ID"] = formatdate(), f"<{letter.id}@ranvier.invalid>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    try:
        with connected(_server(section)) as server:
            if section.smtp_user:
                server.login(section.smtp_user, section.smtp_password.reveal())
            refused = server.send_message(message)
    except Misconfigured as error:
        return Told(ok=False, again=False, words=error.what)
    except smtplib.SMTPException as fault:
        return Told(ok=False, again=passing(fault), words=words_for(fault, _server(section)))
    except (OSError, ValueError) as fault:
        return Told(ok=False, again=True, words=words_for_connection(fault, _server(section)))
    words = f"{section.smtp_host} took it" + (f" but refused {len(refused)} of the recipients." if refused else ".")
    return Told(ok=True, again=False, words=words)


def _server(section: NotifySection) -> MailServer:
    return MailServer(section.smtp_host, section.smtp_port, section.smtp_security, section.authority, TEST_S)


def _message(section: NotifySection) -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = SUBJECT, section.sender, section.recipients
    message["Message-ID"] = f"<test-{socket.gethostname()}@ranvier.invalid>"
    message.set_content(TEXT)
    return message
