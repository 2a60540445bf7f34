"""Notices by an Apprise URL, and its test: only schemes of an allow-list, only hosts that `outbound` lets through."""

import asyncio
import logging
import re
import socket
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from appliance import asking, outbound
from appliance.errors import Misconfigured
from appliance.notify.letter import Letter, Told
from appliance.notify.section import NotifySection
from appliance.probe import TEST_S, Probe

OWN_HOST = frozenset({"json", "form", "xml", "gotify", "mmost", "rocket", "matrix"})
"""Schemes that lead to the host in the URL; each also with an s at its end, for TLS."""
FIXED_HOST = frozenset({"slack", "discord", "tgram", "pover"})
"""Schemes that lead to the messenger's own host."""
_OURS = {"verify": "yes", "redirect": "no", "cto": "5", "rto": "6"}
"""Set by us whatever the URL says: certificates are verified, redirects are not followed, no time-out is endless."""
_TITLE, _TEXT = "Ranvier: test", "This is a test of the notifications. It holds nothing of any patient."


class SchemeRefused(Misconfigured):
    """The Apprise URL begins with a scheme that is not allowed."""

    code = "scheme-refused"
    next_step = "Use json, form, xml, gotify, mmost, rocket or matrix (with an s for TLS), slack, discord, tgram or pover."


class UrlUnusable(Misconfigured):
    """This is no Apprise URL."""

    code = "apprise-url"
    next_step = "Copy it anew; it has a scheme, :// and what the messenger's page of Apprise names."


async def probe(section: NotifySection) -> Probe:
    """Sends one test message by the section's Apprise URL."""
    try:
        told = await _sent(section, _TITLE, _TEXT)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    return Probe(ok=told.ok, lines=[told.words])


async def send(section: NotifySection, letter: Letter) -> Told:
    """Sends one message by the section's Apprise URL."""
    try:
        return await _sent(section, letter.title, letter.text)
    except Misconfigured as error:
        return Told(ok=False, again=False, words=error.what)


async def _sent(section: NotifySection, title: str, text: str) -> Told:
    try:
        url, where = await checked(section.url.reveal(), allow_local=section.own_machine)
    except OSError:
        return Told(ok=False, again=True, words="The name of its host is not known to the network.")
    return await asyncio.to_thread(_send, url, where, title, text)


async def checked(url: str, *, allow_local: bool) -> tuple[str, outbound.Pinned | None]:
    """The URL with our own options, and where it leads when it names a host; raises `SchemeRefused`, and as `outbound` does."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlUnusable(field="url") from None
    secure = parts.scheme.endswith("s") and parts.scheme[:-1] in OWN_HOST
    scheme = parts.scheme[:-1] if secure else parts.scheme
    if scheme not in OWN_HOST | FIXED_HOST:
        raise SchemeRefused(field="url")
    pinned = None
    if scheme in OWN_HOST:
        if not host:
            raise UrlUnusable(field="url")
        place = f"[{host}]" if ":" in host else host
        address = f"{'https' if secure else 'http'}://{place}{f':{port}' if port else ''}/"
        pinned = await outbound.resolve(address, allow_local=allow_local, field="url")
    asked = {**dict(parse_qsl(parts.query)), **_OURS}
    return urlunsplit(parts._replace(query=urlencode(asked))), pinned


def _send(url: str, where: outbound.Pinned | None, title: str, text: str) -> Told:
    import apprise

    name = where.host if where else "the messenger"
    if where:
        try:
            socket.create_connection((where.addresses[0], where.port), timeout=TEST_S / 2).close()
        except OSError as fault:
            words = f"{asking.words_for(fault, f'{name} port {where.port}', TEST_S / 2)}."
            return Told(ok=False, again=True, words=words)
    sender = apprise.Apprise()
    if not sender.add(url):
        raise UrlUnusable(field="url")
    with apprise.LogCapture(level=logging.WARNING) as said:  # type: ignore[no-untyped-call]
        sent = sender.notify(title=title, body=text)
        told = said.getvalue()
    if sent:
        return Told(ok=True, again=False, words=f"{name} took it.")
    # Apprise tells the status in its log only; nothing else of what it says is passed on.
    status = re.search(r"error[=:]\s*(\d{3})", told)
    if not status:
        return Told(ok=False, again=True, words=f"{name} did not take it: no answer, or its certificate is not trusted.")
    number = int(status[1])
    known = number in {one.value for one in HTTPStatus}
    phrase = f" {HTTPStatus(number).phrase}" if known else ""
    return Told(
        ok=False, again=number in (408, 429) or number >= 500, words=f"{name} answered HTTP {number}{phrase}; it was not taken."
    )
