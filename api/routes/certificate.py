"""The certificate of the front door: shown, checked, put in force without a restart, taken away."""

from typing import Annotated

import msgspec
from litestar import delete, get, post, put
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.guards import declared
from api.house_views import CertificateView
from api.presented import Presented
from api.views import at
from api.visit import Visit
from appliance import certificates, settings
from appliance.certificates import Facts
from appliance.errors import Unknown

Text = Annotated[str, msgspec.Meta(max_length=100_000)]


class CertificateGiven(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A certificate (with those between it and the authority), its private key, and the authority's, all as PEM."""

    certificate: Text
    key: Text
    authority: Text = ""


def _view(facts: Facts, *, in_force: bool, own: bool = False, trouble: str = "") -> CertificateView:
    return CertificateView(
        in_force=in_force,
        own=own,
        subject=facts.subject,
        issuer=facts.issuer,
        names=facts.names,
        valid_from=at(facts.valid_from),
        valid_until=at(facts.valid_until),
        key=facts.key,
        fingerprint=facts.fingerprint,
        warnings=facts.warnings,
        trouble=trouble,
    )


async def _shown(presented: Presented) -> CertificateView:
    await presented.refresh()
    if presented.facts is None:
        raise Unknown(kind="certificate: HTTPS is switched off")
    return _view(presented.facts, in_force=True, own=presented.own, trouble=presented.trouble)


@get("/api/certificate", operation_id="getCertificate", tags=["settings"], **declared("settings.read", 404))
async def show(state: State) -> CertificateView:
    """The certificate that new connections meet."""
    return await _shown(state.presented)


@post(
    "/api/certificate/check",
    operation_id="checkCertificate",
    tags=["settings"],
    status_code=200,
    **declared("settings.write", 422),
)
async def check(visit: NamedDependency[Visit], data: JSONBody[CertificateGiven]) -> CertificateView:
    """Checks form, pair, chain, dates and strength; nothing is stored."""
    return _view(certificates.examine(data.certificate, data.key, data.authority, now=visit.now), in_force=False)


@put("/api/certificate", operation_id="setCertificate", tags=["settings"], **declared("settings.write", 412, 422))
async def set_certificate(visit: NamedDependency[Visit], state: State, data: JSONBody[CertificateGiven]) -> CertificateView:
    """Checks a certificate, stores it with the settings and puts it in force; open connections keep theirs."""
    facts = certificates.examine(data.certificate, data.key, data.authority, now=visit.now)
    await _change(visit, "certificate.set", facts.fingerprint, data.certificate, data.key, data.authority)
    return await _shown(state.presented)


@delete(
    "/api/certificate", operation_id="removeCertificate", tags=["settings"], status_code=200, **declared("settings.write", 412)
)
async def remove(visit: NamedDependency[Visit], state: State) -> CertificateView:
    """Takes the certificate out of the settings: the one that this appliance signs itself is in force again."""
    await _change(visit, "certificate.remove", "", "", "", "")
    return await _shown(state.presented)


async def _change(visit: Visit, action: str, what: str, certificate: str, key: str, authority: str) -> None:
    loaded = await visit.house.settings()
    change = {"access": {"tls": True, "tls_certificate": certificate, "tls_key": key or None, "tls_authority": authority}}
    result, changed = settings.patched(loaded.settings, change)
    async with visit.audited(action, "settings", what):
        await visit.house.save(result, based_on=loaded.version, actor=visit.caller.name, now=visit.now, changed=changed)


HANDLERS = (show, check, set_certificate, remove)
