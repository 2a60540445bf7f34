"""Who somebody of the identity provider is here: a name that no local account can have, and a role by group (UI-08)."""

import hashlib
import re

from appliance.access.permissions import Role
from appliance.access.saml_answer import Proven
from appliance.access.saml_errors import NoGroup, SamlRefused
from appliance.access.saml_setup import FORMATS
from appliance.access.section import SamlSection

PREFIX = "saml:"
"""Begins the names of these accounts: names of local ones have no colon."""
GROUPS = (
    "groups",
    "group",
    "memberOf",
    "isMemberOf",
    "roles",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    "http://schemas.xmlsoap.org/claims/Group",
    "urn:oid:1.3.6.1.4.1.5923.1.5.1.1",
    "urn:oid:1.2.840.113556.1.2.102",
)
"""The attributes in which identity providers send groups: those of Entra ID and ADFS, isMemberOf, memberOf."""
NAMES = (
    "mail",
    "email",
    "uid",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn",
    "urn:oid:0.9.2342.19200300.100.1.3",
    "urn:oid:0.9.2342.19200300.100.1.1",
    "urn:oid:1.3.6.1.4.1.5923.1.1.1.6",
)
"""The attributes that name somebody lastingly where the NameID is made anew for each sign-in."""
_MAIL = re.compile(r"[A-Za-z0-9._%+\-]{1,40}@[A-Za-z0-9.\-]{1,40}")
_LONGEST = 64


def role_of(section: SamlSection, proven: Proven) -> Role:
    """The role by group; raises `NoGroup` for somebody who may not use the appliance."""
    groups = {value for name in GROUPS for value in proven.attributes.get(name, ())}
    if section.admin_group and section.admin_group in groups:
        return "admin"
    if section.user_group and section.user_group not in groups:
        raise NoGroup()
    return "user"


def name_of(proven: Proven) -> str:
    """The account's name: an address as it is, in small letters; any other name with a digest, so that no two are one."""
    name = proven.name
    if proven.format == FORMATS["transient"]:
        lasting = [value for one in NAMES for value in proven.attributes.get(one, ())]
        if not lasting:
            raise SamlRefused("no-name", "it names somebody for this once only, and has no attribute such as mail or uid")
        name = lasting[0]
    if _MAIL.fullmatch(name) and len(PREFIX) + len(name) <= _LONGEST:
        return PREFIX + name.lower()
    readable = re.sub(r"[^A-Za-z0-9._@\-]", "-", name)[:24].lower()
    return f"{PREFIX}{readable}~{hashlib.sha256(name.encode()).hexdigest()[:24]}"
