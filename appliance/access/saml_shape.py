"""What a SAML document must look like before any signature in it is believed (SAML 2.0 Core and XML Signature).

Signature wrapping (XSW 1-8), comment injection, entities and transforms all live on documents that say one thing to the
verifier and another to the reader. Here only one shape is let through, in which both can see nothing but the same element.
"""

from typing import Any

from appliance.access.saml_errors import SamlRefused

MOST_BYTES = 512_000
SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
PROTOCOL = "{urn:oasis:names:tc:SAML:2.0:protocol}"
_DS = "{http://www.w3.org/2000/09/xmldsig#}"
_ENCRYPTION = "{http://www.w3.org/2001/04/xmlenc#}"
_MORE = "http://www.w3.org/2001/04/xmldsig-more#"
_EXCLUSIVE = "http://www.w3.org/2001/10/xml-exc-c14n#"
SIGNATURES = frozenset(f"{_MORE}{kind}-{digest}" for kind in ("rsa", "ecdsa") for digest in ("sha256", "sha384", "sha512"))
"""RFC 6931; nothing with SHA-1, MD5, DSA or a shared secret."""
_DIGESTS = frozenset({"http://www.w3.org/2001/04/xmlenc#sha256", f"{_MORE}sha384", "http://www.w3.org/2001/04/xmlenc#sha512"})
_TRANSFORMS = ("http://www.w3.org/2000/09/xmldsig#enveloped-signature", _EXCLUSIVE)
_IDS = ("ID", "Id", "id", "{http://www.w3.org/XML/1998/namespace}id")
_ENCODINGS = frozenset({"", "UTF-8", "UTF8", "US-ASCII", "ASCII"})

Element = Any


def parse(document: bytes) -> Element:
    """The root of a document without document type, entities, comments and processing instructions; raises `SamlRefused`."""
    from lxml import etree

    if len(document) > MOST_BYTES:
        raise SamlRefused("too-large", "it is larger than any that makes sense")
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document or b"\0" in document:
        raise SamlRefused("document-type", "it declares a document type or is in another encoding")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(document, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise SamlRefused("no-xml", "it is no XML") from None
    about = root.getroottree().docinfo
    if about.doctype or about.internalDTD is not None or (about.encoding or "").upper() not in _ENCODINGS:
        raise SamlRefused("document-type", "it declares a document type or is in another encoding")
    nodes = list(root.itersiblings(preceding=True)) + list(root.itersiblings()) + list(root.iter())
    if any(not isinstance(one.tag, str) for one in nodes):
        raise SamlRefused("comment", "it holds comments or processing instructions")
    return root


def require_response(root: Element) -> Element:
    """The one assertion of a response that has only one meaning; raises `SamlRefused`."""
    if root.tag != f"{PROTOCOL}Response":
        raise SamlRefused("no-response", "it is no response")
    if any(one.tag.startswith(_ENCRYPTION) or one.tag.startswith(f"{SAML}Encrypted") for one in root.iter()):
        raise SamlRefused("encrypted", "it is encrypted, and this appliance has no key for that")
    assertions = list(root.iter(f"{SAML}Assertion"))
    if len(assertions) > 1 or len(list(root.iter(f"{PROTOCOL}Response"))) > 1:
        raise SamlRefused("wrapped", "it holds more than one assertion or response")
    if not assertions:
        raise SamlRefused("no-assertion", "it holds no assertion")
    (assertion,) = assertions
    if assertion.getparent() is not root:
        raise SamlRefused("wrapped", "its assertion does not stand where assertions stand")
    _require_single_ids(root)
    places = [one.getparent() for one in root.iter(f"{_DS}Signature")]
    if any(place is not root and place is not assertion for place in places) or len(set(places)) < len(places):
        raise SamlRefused("wrapped", "it has a signature where none belongs")
    for signature in root.iter(f"{_DS}Signature"):
        _require_signature(signature)
    return assertion


def signed(element: Element) -> bool:
    """Whether an element carries a signature of itself; whether that holds is not asked here."""
    return element.find(f"{_DS}Signature") is not None


def _require_single_ids(root: Element) -> None:
    found = [value for one in root.iter() for name in _IDS if (value := one.get(name)) is not None]
    if len(set(found)) < len(found) or not root.get("ID"):
        raise SamlRefused("wrapped", "identifiers in it are missing or stand twice")


def _require_signature(signature: Element) -> None:
    """One reference, to the very element that the signature stands in, with the transforms that SAML names and no others.

    SAML 2.0 Core section 5.4.
    """
    if {one.tag for one in signature} - {f"{_DS}{name}" for name in ("SignedInfo", "SignatureValue", "KeyInfo")}:
        raise SamlRefused("wrapped", "its signature carries objects of its own")
    information = signature.findall(f"{_DS}SignedInfo")
    references = list(signature.iter(f"{_DS}Reference"))
    if len(information) != 1 or len(references) != 1 or references[0].getparent() is not information[0]:
        raise SamlRefused("wrapped", "its signature refers to several things")
    (reference,) = references
    if not signature.getparent().get("ID") or reference.get("URI") != f"#{signature.getparent().get('ID')}":
        raise SamlRefused("wrapped", "its signature refers to another element")
    transforms = [one.get("Algorithm") for one in signature.iter(f"{_DS}Transform")]
    canonical = [one.get("Algorithm") for one in signature.iter(f"{_DS}CanonicalizationMethod")]
    if tuple(transforms) != _TRANSFORMS or canonical != [_EXCLUSIVE]:
        raise SamlRefused("transform", "its signature uses transforms that are not allowed")
    methods = [one.get("Algorithm") for one in signature.iter(f"{_DS}SignatureMethod")]
    digests = [one.get("Algorithm") for one in signature.iter(f"{_DS}DigestMethod")]
    if len(methods) != 1 or methods[0] not in SIGNATURES or len(digests) != 1 or digests[0] not in _DIGESTS:
        raise SamlRefused("algorithm", "its signature uses an algorithm that is too weak, such as SHA-1")
