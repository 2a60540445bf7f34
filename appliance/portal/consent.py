"""What an uploader agrees to, and the record of it."""

import hashlib

import msgspec

from appliance.errors import Misconfigured
from appliance.portal.section import PortalSection

SHARING = {
    "en": "I agree that my images and personal data are shared with the hospital named above.",
    "de": "Ich bin einverstanden, dass meine Bilder und persönlichen Daten an das oben genannte Krankenhaus gehen.",
}
PRIVACY = {
    "en": "I have read the privacy policy and agree to it.",
    "de": "Ich habe die Datenschutzerklärung gelesen und stimme ihr zu.",
}


class ConsentMissing(Misconfigured):
    """Both consents are needed: to the privacy policy, and to share images and personal data."""

    code = "consent-missing"
    next_step = "Tick both boxes; without them nothing can be taken."


class Consent(msgspec.Struct, kw_only=True, frozen=True):
    """Who agreed to which version of the texts, when and in which language."""

    version: str
    language: str
    at: int


def version_of(section: PortalSection) -> str:
    """Names the texts as they stand: another text has another version."""
    texts = msgspec.json.encode([section.privacy, PRIVACY, SHARING])
    return hashlib.sha256(texts).hexdigest()[:16]


def agreed(section: PortalSection, *, privacy: bool, sharing: bool, language: str, now: int) -> Consent:
    """The record of a consent; raises `ConsentMissing`."""
    if not (privacy and sharing):
        raise ConsentMissing(field="consent")
    return Consent(version=version_of(section), language=language if language in SHARING else section.language, at=now)
