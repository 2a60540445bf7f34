"""What the fields of a destination say together; told when settings are saved, and again when something is sent."""

from string import Template

from appliance.delivery.body import IDENTITY
from appliance.delivery.section import Email, Sftp
from appliance.errors import Misconfigured
from appliance.fields import Section


class SignInMissing(Misconfigured):
    """An SFTP destination needs a password or a private key."""

    code = "sign-in-missing"
    next_step = "Enter one of the two."


class PlainMail(Misconfigured):
    """This destination would send reports without encryption."""

    code = "plain-mail"
    next_step = (
        "Choose starttls or tls; or allow mail without encryption where the mail server is on your own protected network."
    )


class IdentityNeedsTls(Misconfigured):
    """The patient's identity leaves by encrypted mail only."""

    code = "identity-needs-tls"
    next_step = "Choose starttls or tls, or switch off the patient's identity for this destination."


class IdentityInSubject(Misconfigured):
    """The subject names ${names}, and mail servers write subjects into their logs."""

    code = "identity-in-subject"
    next_step = "Take the name out of the subject; the text may have it where the destination's setting allows it."


class MailNamesIdentity(Misconfigured):
    """The text names ${names}, but this destination may not have the patient's identity."""

    code = "mail-names-identity"
    next_step = "Switch on the patient's identity for this destination, or take the name out of the text."


def check(section: Section) -> None:
    """Raises `Misconfigured` for what a destination could never be sent anything for."""
    match section:
        case Email():
            _check_mail(section)
        case Sftp() if not section.password and not section.private_key:
            raise SignInMissing(field="password")


def _check_mail(section: Email) -> None:
    if section.security == "none":
        if not section.allow_plain:
            raise PlainMail(field="security")
        if section.identity_in_reports:
            raise IdentityNeedsTls(field="identity_in_reports")
    named = _named(section.subject)
    if named:
        raise IdentityInSubject(field="subject", names=named)
    named = "" if section.identity_in_reports else _named(section.text)
    if named:
        raise MailNamesIdentity(field="text", names=named)


def _named(text: str) -> str:
    return ", $".join(sorted(IDENTITY & set(Template(text).get_identifiers())))
