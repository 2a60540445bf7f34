"""What the front door presents to those who connect: a certificate that can change while it is open, and its own names."""

import asyncio
import logging
import socket
import ssl

import psutil

from appliance import certificates
from appliance.access.section import AccessSection
from appliance.certificates import BadCertificate, Facts
from appliance.events import CertificateInForce, CertificateUnusable
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import events

DOOR = "HTTPS"
_RENEWAL_MS = 3_600_000

log = logging.getLogger(__name__)


class Presented:
    """The TLS context that the next connection meets; open connections keep the one they began with."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._turn = asyncio.Lock()
        self._from: AccessSection | None = None
        self._looked_at = 0
        self.section = AccessSection()
        self.context: ssl.SSLContext | None = None
        self.facts: Facts | None = None
        self.own = True
        """Whether the certificate is the one that this appliance signs itself."""
        self.trouble = ""
        """Why the certificate of the settings is not in force; empty when it is."""

    @property
    def hsts(self) -> bool:
        """Whether browsers are told to use HTTPS only: never on a certificate that they would then refuse for ever."""
        return self.section.tls and self.section.hsts and not self.own

    async def refresh(self) -> None:
        """Takes up the settings in force; a certificate that cannot be used leaves the one before it, or our own."""
        async with self._turn:
            section, now = (await self._house.settings()).settings.access, now_ms()
            if section == self._from and now - self._looked_at < _RENEWAL_MS:
                return
            self._from, self._looked_at, self.section, self.trouble = section, now, section, ""
            if not section.tls:
                self.context, self.facts, self.own = None, None, True
                return
            try:
                await self._take(section, now)
            except BadCertificate as fault:
                self.trouble = fault.what
                log.error("%s %s", fault.what, fault.advice, extra={"code": fault.code})
                await events.append(CertificateUnusable(door=DOOR, cause=str(fault.facts["cause"])), now)
                if self.context is None:
                    await self._take(AccessSection(host_names=section.host_names), now)

    async def _take(self, section: AccessSection, now: int) -> None:
        own = not section.tls_certificate
        if own:
            file = self._house.home / "keys" / "https.pem"
            names = await asyncio.to_thread(own_names, section)
            certificate, key = await asyncio.to_thread(certificates.own_pair, file, names, now=now, addresses=addresses())
        else:
            certificate = certificates.between(section.tls_certificate, section.tls_authority)
            key = section.tls_key.reveal() if section.tls_key else ""
        facts = certificates.facts_of(certificate, now)
        if self.facts is not None and facts.fingerprint == self.facts.fingerprint and self.context is not None:
            self.own = own
            return
        context = certificates.server_context(certificate, key)
        context.set_alpn_protocols(["http/1.1"])
        changed = self.facts is not None
        self.context, self.facts, self.own = context, facts, own
        if changed:
            await events.append(CertificateInForce(door=DOOR, fingerprint=facts.fingerprint), now)


def own_names(section: AccessSection) -> list[str]:
    """By what this machine may be called: the names of the settings, its own, and those it has for itself."""
    machine = socket.gethostname()
    found = [*section.host_names, machine] if machine.isascii() and machine else [*section.host_names]
    return [*dict.fromkeys([*found, "localhost", "127.0.0.1", "::1"])]


def addresses() -> list[str]:
    """The addresses of this machine's network interfaces, without those of one link only."""
    found = [
        one.address.partition("%")[0]
        for interface in psutil.net_if_addrs().values()
        for one in interface
        if one.family in (socket.AF_INET, socket.AF_INET6)
    ]
    return sorted({one for one in found if not one.lower().startswith("fe80:")})
