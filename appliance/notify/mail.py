"""The test of a mail server: encryption, sign-in, sender and recipients, and one message that says it is a test."""

import asyncio
import smtplib
import socket
from email.message import EmailMessage

from appliance import asking
from appliance.errors import Misconfigured
from appliance.notify.section import NotifySection
from appliance.probe import TEST_S, Probe

SUBJECT = "Ranvier: test of the notifications"
TEXT = "This is a test. It was asked for on the settings page of a Ranvier appliance and holds nothing of any patient.\n"


class NoStartTls(Misconfigured):
    """{host} offers no STARTTLS; nothing was sent."""

    code = "no-starttls"
    next_step = "Choose tls if the port is one for TLS from the start, or ask whoever looks after the mail server."


async def probe(section: NotifySection) -> Probe:
    """Sends one test message to the section's recipients."""
    missing = [name for name in ("smtp_host", "sender", "recipients") if not getattr(section, name)]
    if missing:
        return Probe(ok=False, lines=[f"These fields are empty: {', '.join(missing)}."])
    return await asyncio.to_thread(_probe, section)


def _probe(section: NotifySection) -> Probe:
    host, lines = section.smtp_host, list[str]()
    try:
        with _connected(section) as server:
            how = "without encryption" if section.smtp_security == "none" else "over TLS"
            lines.append(f"{host} answered {how}.")
            if section.smtp_user:
                server.login(section.smtp_user, section.smtp_password.reveal())
                lines.append("It accepted user and password.")
            refused = server.send_message(_message(section))
    except Misconfigured as error:
        return Probe(ok=False, lines=[*lines, error.what, error.advice])
    except smtplib.SMTPException as fault:
        return Probe(ok=False, lines=[*lines, _words(fault, host)])
    except (OSError, ValueError) as fault:
        return Probe(ok=False, lines=[*lines, f"{asking.words_for(fault, f'{host} port {section.smtp_port}', TEST_S)}."])
    if refused:
        return Probe(ok=False, lines=[*lines, f"It refused {len(refused)} of the recipients."])
    count = len(section.recipients.split(","))
    return Probe(ok=True, lines=[*lines, f"It took the test for {count} recipient{'s' if count > 1 else ''}."])


def _connected(section: NotifySection) -> smtplib.SMTP:
    context = asking.trust(section.authority)
    host, port = section.smtp_host, section.smtp_port
    if section.smtp_security == "tls":
        return smtplib.SMTP_SSL(host, port, timeout=TEST_S, context=context)
    server = smtplib.SMTP(host, port, timeout=TEST_S)
    if section.smtp_security == "starttls":
        try:
            server.ehlo()
            if not server.has_extn("starttls"):
                raise NoStartTls(field="smtp_security", host=host)
            server.starttls(context=context)
        except (Misconfigured, OSError, smtplib.SMTPException):
            server.close()
            raise
    return server


def _message(section: NotifySection) -> EmailMessage:
    message = EmailMessage()
    message["Subject"], message["From"], message["To"] = SUBJECT, section.sender, section.recipients
    message["Message-ID"] = f"<test-{socket.gethostname()}@ranvier.invalid>"
    message.set_content(TEXT)
    return message


def _words(fault: smtplib.SMTPException, host: str) -> str:
    """What an SMTP fault means; only its code, for the server's own words may repeat anything."""
    match fault:
        case smtplib.SMTPAuthenticationError():
            return f"{host} did not accept user and password ({fault.smtp_code})."
        case smtplib.SMTPNotSupportedError():
            return f"{host} takes no sign-in, or none without encryption."
        case smtplib.SMTPSenderRefused():
            return f"{host} refused the sender's address ({fault.smtp_code})."
        case smtplib.SMTPRecipientsRefused():
            codes = sorted({code for code, _ in fault.recipients.values()})
            return f"{host} refused every recipient ({', '.join(map(str, codes))})."
        case smtplib.SMTPServerDisconnected() if "timed out" in str(fault):
            return f"{host} took longer than {TEST_S} s."
        case smtplib.SMTPServerDisconnected():
            return f"{host} broke off, or does not speak SMTP as asked; it may want TLS from the start."
        case smtplib.SMTPResponseException():
            return f"{host} refused the message ({fault.smtp_code})."
    return f"{host} cannot do what was asked ({type(fault).__name__})."
