"""Reports to an HTTP endpoint, against a real server."""

import base64
import datetime
import ipaddress
import json
import ssl
from http import HTTPStatus
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance import outbound
from appliance.delivery import destinations, rest, web
from appliance.delivery.parcel import Result
from appliance.delivery.section import Rest
from appliance.endpoint import SAME_HOST_HOPS
from appliance.fields import Secret
from appliance.outbound import Pinned
from tests.unit.delivery.parcels import Endpoint, a_parcel, an_endpoint


def to(endpoint: Endpoint, **changes: object) -> Rest:
    return Rest(name="HIS", url=endpoint.url, **{"own_machine": True, "timeout_s": 5, **changes})  # type: ignore[arg-type]


async def test_a_report_arrives_as_base64_in_the_standard_object(tmp_path: Path) -> None:
    """RES-02: REST, POST, base64, the idempotency key in its header."""
    with an_endpoint(201) as endpoint:
        outcome = await destinations.send(a_parcel(tmp_path), to(endpoint))
    assert outcome.result is Result.SENT
    assert outcome.answer == "HTTP 201 Created"
    (got,) = endpoint.got
    assert (got["method"], got["path"]) == ("POST", "/reports")
    assert got["headers"]["Idempotency-Key"] == "key-1-pdf"
    assert got["headers"]["Content-Type"] == "application/json"
    body = json.loads(got["body"])
    assert base64.b64decode(body["content"]) == b"%PDF-1.4 report"
    assert (body["order"], body["filename"], body["content_type"]) == ("019a", "019a_report.pdf", "application/pdf")


async def test_each_format_is_one_request_with_its_own_key_and_template(tmp_path: Path) -> None:
    with an_endpoint() as endpoint:
        section = to(endpoint, method="PUT", formats=("json", "pdf"), body='{"what": "$format of $order", "fa": "$fa_mean"}')
        outcome = await rest.send(a_parcel(tmp_path), section)
    assert outcome.result is Result.SENT
    assert [one["method"] for one in endpoint.got] == ["PUT", "PUT"]
    assert [one["headers"]["Idempotency-Key"] for one in endpoint.got] == ["key-1-json", "key-1-pdf"]
    assert json.loads(endpoint.got[0]["body"]) == {"what": "json of 019a", "fa": "0.4"}


@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_is_handed_on(tmp_path: Path, status: int) -> None:
    with an_endpoint((status, {"Retry-After": "120"})) as endpoint:
        outcome = await rest.send(a_parcel(tmp_path), to(endpoint))
    assert (outcome.result, outcome.retry_after_s) == (Result.TRY_AGAIN, 120)


def test_retry_after_may_be_a_date_and_may_be_nonsense() -> None:
    at = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.UTC).timestamp()
    assert web.outcome_of(503, "Sun, 22 Nov 2026 12:01:30 GMT", at).retry_after_s == 90
    assert web.outcome_of(503, "Sun, 22 Nov 2026 11:00:00 GMT", at).retry_after_s == 0
    for nonsense in ("", "soon", "-5", "1e9", "٣"):
        assert web.outcome_of(503, nonsense, at).retry_after_s is None


async def test_when_one_format_is_not_taken_the_next_is_not_sent(tmp_path: Path) -> None:
    with an_endpoint(HTTPStatus.SERVICE_UNAVAILABLE) as endpoint:
        outcome = await rest.send(a_parcel(tmp_path), to(endpoint, formats=("json", "pdf")))
    assert outcome.result is Result.TRY_AGAIN
    assert outcome.answer == "json: HTTP 503 Service Unavailable"
    assert len(endpoint.got) == 1


async def test_basic_and_token_authentication_reach_the_endpoint(tmp_path: Path) -> None:
    """RES-02: basic or token authentication."""
    with an_endpoint() as endpoint:
        basic = to(endpoint, authentication="basic", user="his", secret=Secret("pa:ss"))
        token = to(endpoint, authentication="token", secret=Secret("abc.def"))
        for section in (basic, token):
            assert (await rest.send(a_parcel(tmp_path), section)).result is Result.SENT
    sent = [one["headers"]["Authorization"] for one in endpoint.got]
    assert sent == ["Basic " + base64.b64encode(b"his:pa:ss").decode(), "Bearer abc.def"]


async def test_a_token_with_a_line_break_makes_no_header(tmp_path: Path) -> None:
    with an_endpoint() as endpoint:
        section = to(endpoint, authentication="token", secret=Secret("abc\r\nX-Evil: 1"))
        outcome = await rest.send(a_parcel(tmp_path), section)
    assert outcome.result is Result.REFUSED
    assert "abc" not in outcome.answer
    assert endpoint.got == []


async def test_a_redirect_to_another_host_is_never_followed(tmp_path: Path) -> None:
    with an_endpoint() as other, an_endpoint((307, {"Location": other.url})) as endpoint:
        outcome = await rest.send(a_parcel(tmp_path), to(endpoint))
    assert outcome.result is Result.REFUSED
    assert "redirects elsewhere" in outcome.answer
    assert other.got == []


async def test_a_redirect_on_the_same_host_is_followed_with_the_same_key(tmp_path: Path) -> None:
    with an_endpoint((308, {"Location": "/v2/reports"}), 201) as endpoint:
        outcome = await rest.send(a_parcel(tmp_path), to(endpoint))
    assert outcome.result is Result.SENT
    assert [one["path"] for one in endpoint.got] == ["/reports", "/v2/reports"]
    assert {one["headers"]["Idempotency-Key"] for one in endpoint.got} == {"key-1-pdf"}


async def test_a_redirect_in_a_circle_ends(tmp_path: Path) -> None:
    with an_endpoint(*[(307, {"Location": "/reports"})] * 9) as endpoint:
        outcome = await rest.send(a_parcel(tmp_path), to(endpoint))
    assert outcome.result is Result.REFUSED
    assert len(endpoint.got) == SAME_HOST_HOPS + 1


async def test_a_url_that_leads_to_this_machine_is_refused_unless_its_setting_allows_it(tmp_path: Path) -> None:
    """SSRF, faults row SSRF; every spelling of the address."""
    with an_endpoint() as endpoint:
        port = endpoint.port
        for host in ("127.0.0.1", "localhost", "2130706433", "0177.0.0.1", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0"):
            section = Rest(name="HIS", url=f"http://{host}:{port}/reports", timeout_s=5)
            outcome = await rest.send(a_parcel(tmp_path), section)
            assert outcome.result is Result.REFUSED, host
        assert endpoint.got == []
        assert (await rest.send(a_parcel(tmp_path), to(endpoint))).result is Result.SENT


async def test_the_name_is_resolved_once_and_stays_in_the_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DNS rebinding: what is connected to is what was judged."""
    asked: list[str] = []

    async def once(url: str, **_: object) -> Pinned:
        asked.append(url)
        return Pinned(scheme="http", host="his.example", port=80, addresses=("127.0.0.1",))

    monkeypatch.setattr(outbound, "resolve", once)
    with an_endpoint() as endpoint:
        section = Rest(name="HIS", url=f"http://his.example:{endpoint.port}/reports", timeout_s=5)
        assert (await rest.send(a_parcel(tmp_path), section)).result is Result.SENT
    (got,) = endpoint.got
    assert got["headers"]["Host"] == f"his.example:{endpoint.port}"
    assert len(asked) == 1


async def test_a_host_that_is_down_hangs_or_breaks_off_is_tried_again(tmp_path: Path, free_port: int) -> None:
    """RES-02: network faults are tried again."""
    down = Rest(name="HIS", url=f"http://127.0.0.1:{free_port}/", own_machine=True, timeout_s=5)
    nowhere = Rest(name="HIS", url="http://his.invalid/", timeout_s=5)
    for section in (down, nowhere):
        outcome = await rest.send(a_parcel(tmp_path), section)
        assert outcome.result is Result.TRY_AGAIN
        assert any(words in outcome.answer for words in ("refused the connection", "is not known to the network"))
    with an_endpoint("hang", "reset") as endpoint:
        slow = await rest.send(a_parcel(tmp_path), to(endpoint, timeout_s=1))
        cut = await rest.send(a_parcel(tmp_path), to(endpoint))
    assert (slow.result, cut.result) == (Result.TRY_AGAIN, Result.TRY_AGAIN)
    assert slow.answer == "pdf: 127.0.0.1 took longer than 1 s"
    assert "broke" in cut.answer


async def test_what_can_never_work_is_refused_with_words(tmp_path: Path) -> None:
    with an_endpoint() as endpoint:
        unknown = await rest.send(a_parcel(tmp_path), to(endpoint, body='{"a": "$shoe_size"}'))
        identity = await rest.send(a_parcel(tmp_path, values={"patient_id": "P1"}), to(endpoint, body='{"a": "$patient_id"}'))
        absent = await rest.send(a_parcel(tmp_path), to(endpoint, formats=("png",)))
        nowhere = await rest.send(a_parcel(tmp_path), Rest(name="HIS", url=""))
    assert {one.result for one in (unknown, identity, absent, nowhere)} == {Result.REFUSED}
    assert "$shoe_size" in unknown.answer
    assert "may not have the patient's identity" in identity.answer
    assert "png" in absent.answer
    assert nowhere.answer == "This destination has no URL."
    assert endpoint.got == []


async def test_the_environment_s_proxy_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with an_endpoint() as proxy, an_endpoint() as endpoint:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert (await rest.send(a_parcel(tmp_path), to(endpoint))).result is Result.SENT
    assert proxy.got == []


async def test_a_certificate_is_verified_and_the_site_s_own_authority_can_be_named(tmp_path: Path) -> None:
    """RES-02: TLS verification is on."""
    certificate, context = _self_signed(tmp_path)
    with an_endpoint(tls=context) as endpoint:
        strange = await rest.send(a_parcel(tmp_path), to(endpoint))
        known = await rest.send(a_parcel(tmp_path), to(endpoint, authority=certificate))
        broken = await rest.send(a_parcel(tmp_path), to(endpoint, authority="-----BEGIN CERTIFICATE-----\nxx"))
    assert strange.result is Result.TRY_AGAIN
    assert "certificate of 127.0.0.1 is not trusted" in strange.answer
    assert known.result is Result.SENT
    assert broken.result is Result.REFUSED
    assert len(endpoint.got) == 1


async def test_the_probe_says_what_it_found_and_sends_no_report() -> None:
    with an_endpoint(204, 401, 404, 503) as endpoint:
        good = await destinations.probe(to(endpoint, body='{"a": "$fa_mean"}'))
        others = [await destinations.probe(to(endpoint)) for _ in range(3)]
    assert good.ok
    assert good.lines[0] == "The body is in order. Only some products have: fa_mean."
    assert [one.ok for one in others] == [False, False, False]
    assert [one.lines[-1] for one in others] == [
        "It does not accept these credentials.",
        "It knows no such address.",
        "It has a fault of its own.",
    ]
    assert {one["method"] for one in endpoint.got} == {"POST"}
    assert {one["headers"]["X-Ranvier-Test"] for one in endpoint.got} == {"yes"}
    sent = [json.loads(one["body"]) for one in endpoint.got]
    assert sent[0] == {"a": "test"}
    assert (sent[1]["kind"], sent[1]["order"][:8], sent[1]["verdict"]) == ("test", "00000000", "test")
    assert b"no report" in base64.b64decode(sent[1]["content"])


async def test_the_probe_names_a_wrong_body_and_a_host_that_is_down(free_port: int) -> None:
    url = f"http://127.0.0.1:{free_port}/"
    wrong = await rest.probe(Rest(name="HIS", url=url, own_machine=True, body="{"))
    down = await rest.probe(Rest(name="HIS", url=url, own_machine=True))
    assert not wrong.ok
    assert "not JSON" in wrong.lines[0]
    assert not down.ok
    assert down.lines[-1] == "127.0.0.1 refused the connection"


def _self_signed(folder: Path) -> tuple[str, ssl.SSLContext]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hospital test authority")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "host.pem").write_bytes(private + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "host.pem")
    return pem.decode(), context
