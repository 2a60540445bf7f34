"""The words a form can use.

A settings section is a frozen `Section` whose fields are annotated with `field(...)` and these types. One declaration gives
the API's validation, OpenAPI, the console's form, the wizard's question and the documentation's table.
"""

from collections.abc import Callable
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

Restart = Literal["none", "receive", "api", "work"]


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=False):
    """One page of settings; its docstring's first line is the page's title."""


class Secret:
    """A value that can be written but is never shown: passwords, tokens, private keys."""

    __slots__ = ("_value",)

    def __init__(self, value: str = "") -> None:
        self._value = value

    def reveal(self) -> str:
        """The value itself, for the one line that needs it."""
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __repr__(self) -> str:
        return "Secret(set)" if self._value else "Secret(empty)"


UNCHANGED = "@secret:unchanged"
"""What readers see in place of a secret that is set, and what leaves it as it is when written back."""


def field(
    title: str,
    help: str = "",
    *,
    recommended: str = "",
    applies_when: str = "",
    unavailable: str = "",
    restart: Restart = "none",
    unit: str = "",
    ge: float | None = None,
    le: float | None = None,
    pattern: str | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    widget: str = "",
) -> Meta:
    """The annotation of one setting; goes into `Annotated[type, field(...)]`.

    `applies_when` is `section.name=value`, or `=one|other`, several with commas between them: elsewhere the field is shown
    read-only with that reason. `unavailable` says why nothing reads the field yet: it is shown and refused with that reason.
    """
    extra = {
        "x-recommended": recommended,
        "x-applies-when": applies_when,
        "x-unavailable": unavailable,
        "x-restart": restart,
        "x-unit": unit,
        "x-widget": widget,
    }
    bounds: dict[str, Any] = {
        "ge": ge,
        "le": le,
        "pattern": pattern,
        "min_length": min_length,
        "max_length": max_length,
        "extra_json_schema": {key: value for key, value in extra.items() if value and value != "none"},
    }
    return Meta(title=title, description=help or None, **bounds)


# Python's `$` also stands before a last line feed, JSON Schema's does not: `(?!\n)$` means the end in both.
AE_TITLE_PATTERN = r"^(?! )[\x20-\x5b\x5d-\x7e]{1,16}(?<! )(?!\n)$"
"""PS3.5 section 6.2, VR AE: 1 to 16 characters of the default repertoire, no backslash; here no outer spaces."""

AeTitle = Annotated[str, Meta(pattern=AE_TITLE_PATTERN, extra_json_schema={"x-widget": "ae-title"})]
Port = Annotated[int, Meta(ge=1, le=65535)]
Host = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\-]{1,253}(?!\n)$", extra_json_schema={"x-widget": "host"})]
Network = Annotated[str, Meta(pattern=r"^[0-9A-Fa-f.:]{2,45}(/[0-9]{1,3})?(?!\n)$")]
"""An address, or a network with its length."""
Url = Annotated[str, Meta(pattern=r"^(?!\n)$|^https?://[^\s]+(?!\n)$", max_length=2048, extra_json_schema={"x-widget": "url"})]
Template = Annotated[str, Meta(max_length=20_000, extra_json_schema={"x-widget": "template"})]
Pem = Annotated[str, Meta(max_length=100_000, extra_json_schema={"x-widget": "pem"})]
Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._\-]{0,39}(?!\n)$")]
Folder = Annotated[str, Meta(pattern=r"^/[^\x00\n]{0,1000}(?!\n)$")]
ReportFormat = Literal["json", "xml", "txt", "png", "pdf", "csv", "dicom-csv", "fhir"]

# What a host is asked for that is reached over TLS.
Authority = Annotated[
    Pem, field("Certificate authority", "PEM, for a host whose certificate the site signs itself; empty: the system's list.")
]
OwnCertificate = Annotated[Pem, field("Our certificate", "PEM, with its chain, for a host that asks for one (mutual TLS).")]
OwnKey = Annotated[Secret, field("Its private key", "PEM, without a password.")]
ProvenName = Annotated[
    str, field("Name in the certificate", "Where it differs from the host; empty: the host.", max_length=253)
]


class Endpoint(Section, frozen=True, kw_only=True):
    """What every HTTP endpoint is asked for"""

    name: Annotated[Name, field("Name", "How lists and the audit call it.")]
    url: Annotated[Url, field("URL")]
    authentication: Annotated[Literal["none", "basic", "token"], field("Authentication")] = "none"
    user: Annotated[str, field("User", max_length=128)] = ""
    secret: Annotated[Secret, field("Password or token")] = msgspec.field(default_factory=Secret)
    authority: Authority = ""
    certificate: OwnCertificate = ""
    key: OwnKey = msgspec.field(default_factory=Secret)
    own_machine: Annotated[
        bool, field("This machine", "Allow a URL that leads to this machine itself or to a link-local address.")
    ] = False
    timeout_s: Annotated[int, field("Time-out", unit="s", ge=1, le=600)] = 30


def decode_hook(kind: type, value: object) -> object:
    """Builds the types that msgspec does not know (only `Secret`)."""
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise NotImplementedError(kind)


def schema_hook(kind: type) -> dict[str, Any]:
    """JSON Schema of the types that msgspec does not know."""
    if kind is Secret:
        return {"type": "string", "format": "password", "writeOnly": True}
    raise NotImplementedError(kind)


def to_plain(value: object, secret: Callable[[Secret], str]) -> Any:
    """Builtins of a section; `secret` says what stands in place of each secret."""
    return msgspec.to_builtins(value, enc_hook=lambda found: secret(found) if isinstance(found, Secret) else str(found))


def masked(found: Secret) -> str:
    """A secret as readers see it."""
    return UNCHANGED if found else ""


def section_fields(kind: type[Section]) -> dict[str, Meta | None]:
    """The fields of a section with the `Meta` that titles each, in order of declaration."""
    hints = get_type_hints(kind, include_extras=True)
    found: dict[str, Meta | None] = {}
    for name in kind.__struct_fields__:
        metas = (
            [one for one in get_args(hints[name])[1:] if isinstance(one, Meta)] if get_origin(hints[name]) is Annotated else []
        )
        titled = [one for one in metas if one.title]
        found[name] = titled[-1] if titled else (metas[-1] if metas else None)
    return found
