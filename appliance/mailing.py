"""The connection to a site's mail server (RFC 5321, RFC 3207, RFC 4954), and the words for every way it can fail."""

import smtplib
import ssl
from typing import NamedTuple

from appliance import asking
from appliance.errors import Misconfigured


class NoStartTls(Misconfigured):
    """{host} offers no STARTTLS; nothing was sent."""

    code = "no-starttls"
    next_step = "Choose tls if the port is one for TLS from the start, or ask whoever looks after the mail server."


class MailServer(NamedTuple):
    """Where mail is handed in, and how."""

    host: str
    port: int
    security: str
    """`starttls`, `tls` or `none`."""
    authority: str
    timeout_s: float


def connected(server: MailServer) -> smtplib.SMTP:
    """A connection that is encrypted as asked; raises `NoStartTls`, `AuthorityUnusable`, `OSError` or `SMTPException`."""
    context = asking.trust(server.authority)
    if server.security == "tls":
        return smtplib.SMTP_SSL(server.host, server.port, timeout=server.timeout_s, context=context)
    found = smtplib.SMTP(server.host, server.port, timeout=server.timeout_s)
    if server.security == "starttls":
        try:
            code, _ = found.ehlo()
            if code != 250:
                # "Busy" is no statement about what it offers; the server's own words are dropped.
                raise smtplib.SMTPResponseException(code, b"")
            if not found.has_extn("starttls"):
                raise NoStartTls(field="security", host=server.host)
            found.starttls(context=context)
        except (Misconfigured, OSError, smtplib.SMTPException):
            found.close()
            raise
    return found


def passing(fault: smtplib.SMTPException) -> bool:
    """Whether another attempt may go well: 4yz answers and broken connections (RFC 5321 section 4.2.1)."""
    match fault:
        case smtplib.SMTPRecipientsRefused():
            return any(400 <= code < 500 for code, _ in fault.recipients.values())
        case smtplib.SMTPServerDisconnected():
            return True
        case smtplib.SMTPResponseException():
            return not 500 <= fault.smtp_code < 600
    return False


def words_for(fault: smtplib.SMTPException, server: MailServer) -> str:
    """What an SMTP fault means; only its code, for the server's own words may repeat anything."""
    host = server.host
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
            return f"{host} took longer than {server.timeout_s:g} s."
        case smtplib.SMTPServerDisconnected():
            return f"{host} broke off, or does not speak SMTP as asked; it may want TLS from the start."
        case smtplib.SMTPResponseException():
            return f"{host} refused the message ({fault.smtp_code})."
    return f"{host} cannot do what was asked ({type(fault).__name__})."


def words_for_connection(fault: OSError | ValueError | ssl.SSLError, server: MailServer) -> str:
    """Why there was no connection."""
    return f"{asking.words_for(fault, f'{server.host} port {server.port}', server.timeout_s)}."
