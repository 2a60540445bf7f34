"""Settings of the front door: address, sessions."""

from typing import Annotated

from msgspec import Meta

from appliance.fields import Host, Pem, Port, Secret, Section, field

HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9]([A-Za-z0-9.\-]{0,251}[A-Za-z0-9])?(?!\n)$")]
Address = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?(?!\n)$")]


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
    tls_key: Annotated[Secret | None, field("TLS private key", "The key of the certificate, as PEM, without a password.")] = (
        None
    )
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
        tuple[Address, ...],
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
