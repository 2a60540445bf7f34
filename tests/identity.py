"""Other people's identity provider: Debian's SimpleSAMLphp on PHP's own web server, with people and groups of ours."""

import base64
import contextlib
import html
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.certificates import Pair, make
from tests.servers import HOST, a_free_port, answers, program, running

HOME = Path("/usr/share/simplesamlphp")
PASSWORD = "secret-of-the-idp"
PEOPLE = {
    "anna": ("anna@hospital.example", ("radiology", "ranvier-admins")),
    "ben": ("Ben@hospital.example", ("radiology",)),
    "carl": ("carl@hospital.example", ()),
}
_INPUT = re.compile(r'<input[^>]+name="([^"]+)"[^>]+value="([^"]*)"')
_ACTION = re.compile(r'<form[^>]+action="([^"]*)"')


@dataclass(frozen=True)
class Posted:
    """What the identity provider lets a browser post to us."""

    url: str
    fields: dict[str, str]

    @property
    def document(self) -> bytes:
        """The response itself."""
        return base64.b64decode(self.fields["SAMLResponse"])


@dataclass(frozen=True)
class IdentityProvider:
    """A running SimpleSAMLphp."""

    url: str
    pair: Pair

    @property
    def entity_id(self) -> str:
        """Its own name."""
        return f"{self.url}saml2/idp/metadata.php"

    @property
    def settings(self) -> dict[str, object]:
        """Its part of the settings of single sign-on."""
        return {
            "idp_entity_id": self.entity_id,
            "idp_sso_url": f"{self.url}saml2/idp/SSOService.php",
            "idp_slo_url": f"{self.url}saml2/idp/SingleLogoutService.php",
            "idp_certificate": self.pair.certificate,
        }

    def browser(self) -> httpx.Client:
        """A browser at the identity provider."""
        return httpx.Client(follow_redirects=True, timeout=30, trust_env=False)

    def sign_in(self, url: str, user: str, browser: httpx.Client | None = None) -> Posted:
        """Follows our redirect, types name and password, and gives what the page then posts."""
        with contextlib.ExitStack() as stack:
            client = browser or stack.enter_context(self.browser())
            shown = client.get(url)
            fields = dict(_INPUT.findall(shown.text))
            if "SAMLResponse" not in fields:
                state = html.unescape(fields["AuthState"])
                shown = client.post(
                    str(shown.url).partition("?")[0],
                    content=urlencode({"username": user, "password": PASSWORD, "AuthState": state}),
                    headers={"Content-Type": "application/x-www-form-urlencoded"},
                )
                fields = dict(_INPUT.findall(shown.text))
            assert "SAMLResponse" in fields, shown.text[:2000]
            action = _ACTION.search(shown.text)
            assert action is not None
            return Posted(html.unescape(action[1]), {name: html.unescape(value) for name, value in fields.items()})


def rsa_pair(name: str) -> Pair:
    """A certificate with an RSA key, as identity providers sign with."""
    return make(name, private=rsa.generate_private_key(public_exponent=65537, key_size=2048))


@contextlib.contextmanager
def a_simplesamlphp(
    folder: Path, base: str, certificate: str, services: dict[str, dict[str, object]]
) -> Iterator[IdentityProvider]:
    """An identity provider that knows the service providers `services` (entity ID -> further entries) at one base address."""
    port, pair = a_free_port(), rsa_pair("idp")
    url = f"http://{HOST}:{port}/"
    for name in ("metadata", "cert", "log", "data", "tmp", "sessions"):
        (folder / name).mkdir(parents=True)
    (folder / "cert" / "idp.crt").write_text(pair.certificate)
    (folder / "cert" / "idp.key").write_text(pair.key)
    configuration = {
        "baseurlpath": url,
        "certdir": f"{folder}/cert/",
        "loggingdir": f"{folder}/log/",
        "datadir": f"{folder}/data/",
        "tempdir": f"{folder}/tmp",
        "secretsalt": "a salt of the tests",
        "auth.adminpassword": "admin-of-the-tests",
        "technicalcontact_email": "na@example.org",
        "enable.saml20-idp": True,
        "module.enable": {"exampleauth": True, "core": True, "saml": True},
        "metadatadir": f"{folder}/metadata",
        "metadata.sources": [{"type": "flatfile"}],
        "session.cookie.secure": False,
        "session.phpsession.savepath": f"{folder}/sessions",
        "store.type": "phpsession",
        "logging.handler": "file",
        "production": False,
    }
    (folder / "config.php").write_text(f"<?php $config = {_php(configuration)};")
    people = {
        f"{name}:{PASSWORD}": {"uid": [name], "mail": [mail], "groups": list(groups)} for name, (mail, groups) in PEOPLE.items()
    }
    sources = {"people": ["exampleauth:UserPass", people], "admin": ["core:AdminPassword"]}
    (folder / "authsources.php").write_text(f"<?php $config = {_php(sources)};")
    hosted = {"host": "__DEFAULT__", "privatekey": "idp.key", "certificate": "idp.crt", "auth": "people"}
    (folder / "metadata" / "saml20-idp-hosted.php").write_text(f"<?php $metadata['__DYNAMIC:1__'] = {_php(hosted)};")
    remote = ""
    bare = re.sub(r"-----[A-Z ]+-----|\s", "", certificate)
    for entity, more in services.items():
        entry = {
            "AssertionConsumerService": f"{base}/api/saml/acs",
            "SingleLogoutService": f"{base}/api/saml/sls",
            "NameIDFormat": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
            "simplesaml.nameidattribute": "mail",
            "keys": [{"type": "X509Certificate", "signing": True, "encryption": False, "X509Certificate": bare}],
            "validate.authnrequest": True,
            "validate.logout": True,
            "sign.logout": True,
            **more,
        }
        remote += f"$metadata['{entity}'] = {_php(entry)};\n"
    (folder / "metadata" / "saml20-sp-remote.php").write_text(f"<?php {remote}")
    where = f"SIMPLESAMLPHP_CONFIG_DIR={folder}"
    argv = [program("env", "coreutils"), where, program("php", "php-cli")]
    argv += ["-d", f"session.save_path={folder}/sessions", "-S", f"{HOST}:{port}", "-t", f"{HOME}/www"]
    with running(argv, lambda: answers(port), folder / "php.log"):
        yield IdentityProvider(url, pair)


def _php(value: object) -> str:
    """A value as PHP writes it."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case dict():
            return "[" + ", ".join(f"{_php(key)} => {_php(one)}" for key, one in value.items()) + "]"
        case list() | tuple():
            if value and isinstance(value[0], str) and ":" in value[0] and len(value) == 2 and isinstance(value[1], dict):
                # An authentication source: its class first, then its people.
                return f"[{_php(value[0])}, " + _php(value[1])[1:]
            return "[" + ", ".join(_php(one) for one in value) + "]"
    text = str(value).replace("\\", "\\\\").replace("'", "\\'")
    return f"'{text}'"
