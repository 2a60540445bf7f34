"""Certificates are checked before anybody meets them."""

import stat
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from appliance.certificates import OWN_DAYS, BadCertificate, between, days_left, examine, facts_of, own_pair, server_context
from appliance.moments import now_ms
from tests.certificates import make, rsa_key

DAY_MS = 86_400_000


def refused(certificate: str, key: str, authority: str = "") -> tuple[str, str]:
    """Field and cause of the refusal."""
    with pytest.raises(BadCertificate) as caught:
        examine(certificate, key, authority, now=now_ms())
    return caught.value.field, str(caught.value.facts["cause"])


def test_a_whole_chain_with_its_key_and_authority_is_taken() -> None:
    """UI-09."""
    root = make("root", authority=True)
    middle = make("middle", by=root, authority=True)
    own = make(by=middle)
    facts = examine(own.certificate + middle.certificate, own.key, root.certificate, now=now_ms())
    assert facts.names == ["ranvier.test", "localhost", "127.0.0.1"]
    assert (facts.key, facts.signs_itself, facts.warnings) == ("EC secp256r1", False, [])
    assert len(facts.fingerprint) == 95
    server_context(own.certificate + middle.certificate, own.key)


def test_an_authority_s_file_may_hold_what_stands_between() -> None:
    root = make("root", authority=True)
    middle = make("middle", by=root, authority=True)
    own = make(by=middle)
    examine(own.certificate, own.key, middle.certificate + root.certificate, now=now_ms())
    assert between(own.certificate, middle.certificate + root.certificate) == own.certificate + middle.certificate


def test_each_planted_fault_is_named_on_its_field() -> None:
    """UI-09: PEM syntax, pair, chain, expiry and key strength are checked before use, each with a clear sentence."""
    root, other = make("root", authority=True), make("other", authority=True)
    own, stranger = make(by=root), make("stranger")
    middle = make("middle", by=root, authority=True)
    late, early = make(last_day=-0.5, first_day=-9), make(first_day=2)
    small = make(private=rsa_key(1024))
    curve = make(private=ec.generate_private_key(ec.SECP256K1()))
    mail = make(client_only=True)
    cases = {
        "no certificate": (("", own.key), ("certificate", "there is none")),
        "words": (("words", own.key), ("certificate", "PEM form")),
        "broken base64": ((own.certificate.replace("MII", "M!!", 1), own.key), ("certificate", "PEM form")),
        "cut short": ((own.certificate[:300], own.key), ("certificate", "PEM form")),
        "key as certificate": ((own.key, own.key), ("certificate", "a private key stands")),
        "certificate as key": ((own.certificate, own.certificate), ("key", "no private key")),
        "no key": ((own.certificate, ""), ("key", "no private key")),
        "password": ((own.certificate, own.key_with(BestAvailableEncryption(b"secret"))), ("key", "has a password")),
        "another's key": ((own.certificate, stranger.key), ("key", "another certificate")),
        "chain in the wrong order": ((own.certificate + other.certificate, own.key), ("certificate", "certificate 2")),
        "another authority": ((own.certificate, own.key, other.certificate), ("authority", "did not issue")),
        "no authority": ((own.certificate, own.key, stranger.certificate), ("authority", "not an authority")),
        "expired": ((late.certificate, late.key), ("certificate", "expired on")),
        "not yet": ((early.certificate, early.key), ("certificate", "valid from")),
        "small RSA": ((small.certificate, small.key), ("certificate", "1024 bits")),
        "odd curve": ((curve.certificate, curve.key), ("certificate", "secp256k1")),
        "for clients": ((mail.certificate, mail.key), ("certificate", "not issued for servers")),
        "endless": ((own.certificate * 11, own.key), ("certificate", "more than 10")),
        "middle that is not there": ((make(by=middle).certificate, own.key), ("key", "another certificate")),
    }
    for name, (given, (field, words)) in cases.items():
        found = refused(*given)
        assert found[0] == field, name
        assert words in found[1], (name, found)


def test_a_certificate_signed_with_sha1_is_refused(tmp_path: Path) -> None:
    """UI-09: made by openssl, for nothing newer signs so any more."""
    root = make("root", authority=True)
    (tmp_path / "root.pem").write_text(root.certificate)
    (tmp_path / "root.key").write_text(root.key)

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=tmp_path, check=True, capture_output=True, timeout=60)

    openssl(
        "req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ranvier.test", "-keyout", "own.key", "-out", "own.csr"
    )
    openssl("x509", "-req", "-sha1", "-in", "own.csr", "-CA", "root.pem", "-CAkey", "root.key", "-out", "own.pem")
    field, cause = refused((tmp_path / "own.pem").read_text(), (tmp_path / "own.key").read_text())
    assert field == "certificate"
    assert "SHA1" in cause


def test_a_certificate_near_its_end_or_without_a_name_is_taken_with_a_warning() -> None:
    short = make(last_day=12.5, names=())
    warnings = examine(short.certificate, short.key, now=now_ms()).warnings
    assert any("12 days" in one for one in warnings)
    assert any("names no host" in one for one in warnings)
    assert days_left(short.certificate, now_ms()) == 12


def test_what_signs_itself_is_made_once_kept_and_renewed_in_time(tmp_path: Path) -> None:
    """UI-09: first boot."""
    file, now = tmp_path / "https.pem", now_ms()
    names = ["ranvier.test", "192.0.2.7", "::1"]
    certificate, key = own_pair(file, names, now=now)
    facts = examine(certificate, key, now=now)
    assert (facts.names, facts.signs_itself) == (names, True)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert own_pair(file, names, now=now + DAY_MS) == (certificate, key)
    assert own_pair(file, [*names, "new.test"], now=now)[0] != certificate
    before = file.read_text()
    renewed, _ = own_pair(file, names, now=now + (OWN_DAYS - 29) * DAY_MS)
    assert renewed not in before
    assert facts_of(renewed, now).valid_until > now + OWN_DAYS * DAY_MS
