"""Who may open an association, and what a caller that may not is told (PS3.8 section 9.3.4)."""

import hashlib
import re
from collections.abc import Sequence

from appliance.addresses import is_within
from appliance.fields import AE_TITLE_PATTERN
from appliance.receive.door import Refusal, Request
from appliance.receive.section import ReceiveSection

PERMANENT, TRANSIENT = 1, 2
BY_USER, BY_PRESENTATION = 1, 3
NO_REASON, UNKNOWN_CALLER, UNKNOWN_CALLED = 1, 3, 7
LOCAL_LIMIT = 2


def refusal(request: Request, section: ReceiveSection, open_from: Sequence[str]) -> Refusal | None:
    """Why this caller is turned away; None when it may come in. `open_from`: the addresses of all open associations."""
    if section.paused:
        return _transient(
            "receiving is paused for maintenance", "it tries again by itself; resume receiving when the maintenance is over"
        )
    strange = _strange_title(request)
    if strange:
        return strange
    if section.allowed_callers and request.calling not in section.allowed_callers:
        return _permanent(
            UNKNOWN_CALLER,
            "its calling AE title is not on the list of allowed callers",
            "add it to the allowed calling AE titles if it is one of your devices",
        )
    bound = bound_to(request.calling, section.caller_addresses)
    if bound and not is_within(request.address, bound):
        return _permanent(
            UNKNOWN_CALLER,
            "its AE title belongs to another address",
            "correct the addresses of this AE title if the device has moved; otherwise somebody uses its name",
        )
    fingerprints = bound_to(request.calling, section.caller_certificates)
    if fingerprints and not _shows(request.certificate, fingerprints):
        return _permanent(
            UNKNOWN_CALLER,
            "its AE title belongs to another TLS certificate" if request.certificate else "it shows no TLS certificate",
            "enter the fingerprint of the device's new certificate if it has one; otherwise somebody uses its name",
        )
    if section.check_called and request.called != section.ae_title:
        return _permanent(
            UNKNOWN_CALLED,
            "it called this appliance by another AE title",
            f"set the called AE title at the sender to {section.ae_title}",
        )
    if len(open_from) >= section.maximum_associations:
        return _transient("too many associations are open", "it tries again by itself; allow more if this happens often")
    most = section.associations_per_address
    if most and open_from.count(request.address) >= most:
        return _transient(
            "too many associations are open from its address", "it tries again by itself; allow more for one address if needed"
        )
    return None


def bound_to(calling: str, bindings: Sequence[str]) -> list[str]:
    """What an AE title is bound to; bindings have the form `AE=address`, or `AE=fingerprint`."""
    pairs = (one.rpartition("=") for one in bindings)
    return [address.strip() for title, _, address in pairs if title.strip() == calling]


def _strange_title(request: Request) -> Refusal | None:
    """Titles that are none (PS3.5 section 6.2, VR AE): empty, or with control characters, a backslash, letters beyond ASCII."""
    for title, whose, reason in (
        (request.calling, "its calling AE title", UNKNOWN_CALLER),
        (request.called, "the called AE title that it uses", UNKNOWN_CALLED),
    ):
        if not _AE_TITLE.match(title):
            return _permanent(
                reason,
                f"{whose} is empty or holds characters that no AE title has",
                "set it at the sender to 1 to 16 letters, digits or signs of ASCII, without a backslash",
            )
    return None


_AE_TITLE = re.compile(AE_TITLE_PATTERN)


def _shows(certificate: bytes, fingerprints: Sequence[str]) -> bool:
    """Whether a certificate (DER) has one of these SHA-256 fingerprints, however they are written."""
    found = hashlib.sha256(certificate).hexdigest() if certificate else ""
    return found in {one.replace(":", "").lower() for one in fingerprints}


def _permanent(reason: int, sentence: str, advice: str) -> Refusal:
    return Refusal(result=PERMANENT, source=BY_USER, reason=reason, sentence=sentence, advice=advice)


def _transient(sentence: str, advice: str) -> Refusal:
    return Refusal(result=TRANSIENT, source=BY_PRESENTATION, reason=LOCAL_LIMIT, sentence=sentence, advice=advice)
