"""Settings of the front door: address, sessions."""

from typing import Annotated, Literal

from msgspec import Meta

from appliance.fields import Host, Network, Pem, Port, Secret, Section, Url, field

HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?(?!\n)$")]
_NO_MARKUP = r"^[^<>&\"'\s]*(?!\n)$"
"""For what is written into XML documents as it stands."""


class AccessSection(Section, frozen=True, kw_only=True):
    """Access (HTTP)"""

    host: Annotated[Host, field("Address", "The address the API listens on.", restart="api")] = "0.0.0.0"
    port: Annotated[Port, field("Port", restart="api")] = 3001
    tls: Annotated[
        bool,
        field(
            "HTTPS",
            "Answer over TLS 1.2 or newer. Plain HTTP is answered to this machine itself only; others are sent on to HTTPS.",
            recommended="on",
        ),
    ] = True
    tls_certificate: Annotated[
        Pem,
        field(
            "TLS certificate",
            "The server's certificate and those between it and the authority, as PEM; empty: one that this appliance signs "
            "itself. A new one is in force at once.",
        ),
    ] = ""
    tls_key: Annotated[
        Secret | None, field("TLS private key", "The key of the certificate, as PEM, without a password.", widget="pem")
    ] = None
    tls_authority: Annotated[
        Pem, field("CA certificate", "The authority that issued the certificate, as PEM; the chain is checked with it.")
    ] = ""
    host_names: Annotated[
        tuple[HostName, ...],
        field(
            "Host names",
            "By which names browsers and programs call this appliance. Requests for other names are refused; empty takes all.",
            recommended="ranvier.hospital.example",
            max_length=10,
        ),
    ] = ()
    hsts: Annotated[
        bool,
        field(
            "HTTPS only for browsers",
            "Tell browsers to use HTTPS only from now on (HSTS), where the certificate is not our own.",
            recommended="on when the appliance can be reached from other networks",
        ),
    ] = False
    trusted_proxies: Annotated[
        tuple[Network, ...],
        field(
            "Trusted proxies",
            "Addresses or networks of reverse proxies, whose word about the caller's address and scheme is believed.",
            max_length=10,
        ),
    ] = ()
    idle_hours: Annotated[
        int, field("Idle time", "A session ends when it was not used for so long.", unit="h", ge=1, le=72)
    ] = 8
    lock_after: Annotated[int, field("Wrong passwords", "An account is locked after so many.", ge=3, le=50)] = 5
    lock_minutes: Annotated[int, field("Locked for", "Doubles each time.", unit="min", ge=1, le=1440)] = 5


class SamlSection(Section, frozen=True, kw_only=True):
    """SAML single sign-on"""

    enabled: Annotated[
        bool, field("Enable SAML SSO", "Off: accounts of this appliance only. Any change on this page ends all SAML sessions.")
    ] = False
    mode: Annotated[
        Literal["local", "both", "saml"],
        field(
            "Authentication mode",
            "local: passwords of this appliance only; both: either; saml: no passwords, save the break-glass on the appliance.",
        ),
    ] = "local"
    break_glass: Annotated[
        bool,
        field(
            "Break-glass password",
            "In mode saml: a local administrator may still sign in by password, in the console on the machine itself.",
            recommended="on",
        ),
    ] = True
    idp_entity_id: Annotated[str, field("IdP entity ID", "The identity provider's own name (issuer).", max_length=1024)] = ""
    idp_sso_url: Annotated[Url, field("IdP SSO URL", "Where people sign in (HTTP-Redirect binding).")] = ""
    idp_slo_url: Annotated[Url, field("IdP SLO URL", "Where they sign out; empty: signing out ends our session only.")] = ""
    idp_certificate: Annotated[
        Pem,
        field("IdP certificate (PEM)", "What its assertions are signed with; several while it changes from one to the next."),
    ] = ""
    idp_metadata_url: Annotated[
        Url, field("IdP metadata URL", "Its metadata; the test fetches them, compares, and fills in the fields above.")
    ] = ""
    own_machine: Annotated[
        bool, field("This machine", "Allow a metadata URL that leads to this machine itself or to a link-local address.")
    ] = False
    authority: Annotated[
        Pem, field("Certificate authority", "PEM, for a metadata host whose certificate the site signs itself.")
    ] = ""
    sp_entity_id: Annotated[
        str,
        field("SP entity ID", "How this appliance calls itself.", recommended="ranvier", max_length=1024, pattern=_NO_MARKUP),
    ] = "ranvier"
    sp_base_url: Annotated[
        str,
        field(
            "SP base URL",
            "Where people reach this appliance, by HTTPS.",
            recommended="https://ranvier.hospital.example:3001",
            pattern=r"^(?!\n)$|^https?://[^\s<>&\"'?#]+(?!\n)$",
            max_length=1024,
            widget="url",
        ),
    ] = ""
    name_id_format: Annotated[
        Literal["email", "persistent", "transient", "unspecified"],
        field("NameID format", "What the identity provider is to name people by.", recommended="email"),
    ] = "email"
    require_signed_assertions: Annotated[
        bool, field("Require signed assertions", "Off: the response must be signed instead.", recommended="on")
    ] = True
    admin_group: Annotated[str, field("Admin group", "Its members are administrators; empty: nobody is.", max_length=256)] = ""
    user_group: Annotated[
        str, field("User group", "Only its members may use the appliance; empty: everybody may.", max_length=256)
    ] = ""
