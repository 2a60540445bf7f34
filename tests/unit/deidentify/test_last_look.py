"""The last look at what leaves without identity: a leak in every format is found and named by its place, nothing else is."""

import base64
import gzip
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import msgspec
import pytest

from appliance.deidentify.last_look import IdentityFound, Look, Sought, look, storable, stored
from appliance.deidentify.passport import SourceFile
from appliance.deidentify.rules import Kind
from appliance.deidentify.search import Wanted
from appliance.records.identities import PatientIdentity
from appliance.reports import as_hl7, cohort
from appliance.reports.cohort_content import CohortMember, CohortRequest, Number
from appliance.reports.content import REPORT_FORMATS, RenderRequest, ReportContent
from appliance.reports.render import harmless, render
from tests.unit.deidentify.planted import an_instance, deidentified
from tests.unit.reports.samples import a_report

VALUES = ("Wolkenstein", "Cassiopeia", "PX-88-4417", "19440229", "29.02.1944", "ACC99120042", "1.2.3.4.5.6.7")
SITE = "Neuroradiology, St. Anna"
MADE = datetime(2026, 11, 22, 13, 31, 5, tzinfo=UTC)
Plant = Callable[[bytes, str], bytes]


def wanted(name: str = "Wolkenstein^Cassiopeia") -> Wanted:
    found = Wanted(dates={"19440229", "20240311"}, uids={b"1.2.3.4.5.6.7"})
    found.name(name)
    found.value("PX-88-4417", Kind.IDENTIFIER)
    found.value("ACC99120042", Kind.IDENTIFIER)
    found.value("Neuroradiology, St. Anna", Kind.PLACE)
    return found


def an_eye(name: str = "Wolkenstein^Cassiopeia", *, dates: frozenset[str] = frozenset()) -> Look:
    known = wanted(name)
    known.dates |= dates
    return Look(Sought(known=[known], spared=[SITE], days=["20261122"]))


@lru_cache(maxsize=8)
def documents(caveat: str = "") -> dict[str, bytes]:
    """Every format that leaves without identity, as the appliance makes it."""
    content = a_report()
    if caveat:
        content = msgspec.structs.replace(content, caveats=[*content.caveats, caveat])
    request = RenderRequest(content=content, out_folder="", formats=[])
    found = {name: render(request, name) for name in REPORT_FORMATS}
    found["hl7"] = as_hl7.message(harmless(request), None, PatientIdentity(), MADE)
    return found | _group(content)


def _group(content: ReportContent) -> dict[str, bytes]:
    facts = {"made_at": content.made_at, "caveats": " | ".join(content.caveats), "site": content.site}
    numbers = [Number(column="dti.fa_mean", label="FA, mean", value=0.3)]
    members = [
        CohortMember(study=content.study, order=content.order, standing="done", facts=facts, numbers=numbers) for _ in range(4)
    ]
    request = CohortRequest(
        group="PARK-01", report=content.report, version=1, made_at=content.made_at, reason="completed", site=SITE,
        products={"dti": "1.0.0"}, members=members, out_folder="", stem="PARK-01",
    )  # fmt: skip
    return {"group csv": cohort.table(request), "group schema": cohort.schema(request)}


def _behind(content: bytes, value: str) -> bytes:
    return content + f"\r\n{value}\r\n".encode()


def _in_json(content: bytes, value: str) -> bytes:
    found = json.loads(content)
    next(iter(found["entry"]))["resource"]["note"] = [{"text": f"for {value}"}] if "entry" in found else None
    return json.dumps(found).encode()


def _in_member(content: bytes, value: str) -> bytes:
    return json.dumps({**json.loads(content), "further": {"list": ["x", f"for {value}."]}}).encode()


def _escaped(content: bytes, value: str) -> bytes:
    """As other people's programs write letters: by number."""
    plain = json.dumps({**json.loads(content), "further": "~"})
    return plain.replace("~", "".join(f"\\u{ord(one):04x}" for one in value)).encode()


def _in_element(content: bytes, value: str) -> bytes:
    place = content.rindex(b"</")
    return content[:place] + f'<note who="{value}"/>'.encode() + content[place:]


def _as_entities(content: bytes, value: str) -> bytes:
    place = content.rindex(b"</")
    return content[:place] + b"<note>" + "".join(f"&#{ord(one)};" for one in value).encode() + b"</note>" + content[place:]


def _in_text_chunk(content: bytes, value: str) -> bytes:
    return _chunk(content, b"tEXt", b"Comment\0" + value.encode())


def _in_packed_chunk(content: bytes, value: str) -> bytes:
    return _chunk(content, b"zTXt", b"Comment\0\0" + zlib.compress(value.encode()))


def _chunk(content: bytes, kind: bytes, value: bytes) -> bytes:
    made = len(value).to_bytes(4, "big") + kind + value + zlib.crc32(kind + value).to_bytes(4, "big")
    return content[:33] + made + content[33:]


def _in_facts(content: bytes, value: str) -> bytes:
    """In the document's own facts, which no page shows."""
    place = content.index(b"/Author")
    return content[:place] + b"/Keywords (" + value.encode() + b") " + content[place:]


def _on_a_page(content: bytes, value: str) -> bytes:
    """On a page, in letters that only its font can tell."""
    return documents(f"asked for by {value}")["pdf"]


def _packed_page(content: bytes, value: str) -> bytes:
    """In the PDF that is packed into another document."""
    old, new = (base64.b64encode(documents(one)["pdf"]) for one in ("", f"asked for by {value}"))
    assert old in content
    return content.replace(old, new)


PLANTS: dict[str, tuple[str, Plant]] = {
    "JSON, a member": ("json", _in_member),
    "JSON, by number": ("json", _escaped),
    "XML, an attribute": ("xml", _in_element),
    "XML, entities": ("xml", _as_entities),
    "text": ("txt", _behind),
    "CSV": ("csv", _behind),
    "DICOM CSV": ("dicom-csv", _behind),
    "FHIR, a note": ("fhir", _in_json),
    "FHIR, the packed PDF": ("fhir", _packed_page),
    "PDF, a page": ("pdf", _on_a_page),
    "PDF, its facts": ("pdf", _in_facts),
    "PDF, behind its end": ("pdf", _behind),
    "PNG, text": ("png", _in_text_chunk),
    "PNG, packed text": ("png", _in_packed_chunk),
    "PNG, behind its end": ("png", _behind),
    "HL7, a segment": ("hl7", _behind),
    "HL7, the packed PDF": ("hl7", _packed_page),
    "group table": ("group csv", _behind),
    "group schema": ("group schema", _in_member),
}


@pytest.mark.parametrize("plant", PLANTS)
def test_a_leak_planted_in_a_format_is_found_and_named_by_its_place(plant: str) -> None:
    """DEID-09: the verifier's search runs over whatever leaves without identity; each value alone, never repeated."""
    name, edit = PLANTS[plant]
    clean = documents()[name]
    eye, slow = an_eye(), name in ("pdf", "fhir", "hl7")
    for value in VALUES[:1] if edit in (_on_a_page, _packed_page) else VALUES[:3] if slow else VALUES:
        found = eye.residues(edit(clean, value), name)
        assert found, value
        said = str(found).lower()
        assert all(one.place.startswith(name) for one in found) and value.lower() not in said


def test_clean_documents_of_every_format_are_passed() -> None:
    """DEID-09: 0 findings on clean output; the site's name, which the settings print, is none."""
    assert not [name for name, content in documents().items() if an_eye().residues(content, name)]
    assert Look(Sought(known=[wanted()], days=["20261122"])).residues(documents()["txt"], "txt"), "the site is the source's"


@pytest.mark.parametrize(
    "name",
    [
        "Head^Anna",
        "Long^Peter",
        "May^Theresa",
        "Ng^Li",
        "Page^Mark",
        "Clear^Quality",
        "Mean^Sex",
        "Sander^Version",
        "Report^Ty",
    ],
)
def test_a_patient_who_is_called_like_our_own_words_holds_nothing_up(name: str) -> None:
    """DEID-09: what a report says of everybody is no finding; the full name is one, in both orders."""
    eye = an_eye(name)
    assert not [one for one in ("json", "xml", "txt", "pdf", "group csv") if eye.residues(documents()[one], one)]
    family, given = name.split("^")
    for full in (f"{family} {given}", f"{given} {family}", name, f"{family}, {given}"):
        assert eye.in_text(f"asked for by {full}", "reason"), full


def test_the_day_of_the_report_may_be_the_day_of_the_scan_and_any_other_day_may_not() -> None:
    eye = an_eye(dates=frozenset({"20261122"}))
    assert eye.residues(documents()["txt"], "txt") == []
    assert [one.rule for one in eye.in_text("born 1944-02-29", "note")] == ["identity: date"]
    assert [one.rule for one in eye.in_text("seen on 11.03.2024", "note")] == ["identity: date"]


def _gz(value: str) -> bytes:
    target = io.BytesIO()
    with gzip.GzipFile(value, "wb", fileobj=target, mtime=0) as stream:
        stream.write(b"nothing")
    return target.getvalue()


def _zip(name: str, value: str) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr(name, value)
    return target.getvalue()


def _nifti(value: str) -> bytes:
    header = bytearray(352)
    struct.pack_into("<i", header, 0, 348)
    struct.pack_into("<f", header, 108, 352.0)
    header[148 : 148 + len(value)] = value.encode()
    header[344:348] = b"n+1\0"
    return bytes(header) + bytes(range(256)) * 4


# By name: a ZIP holds the time that it was made at, which is another in each process of the run.
PACKED = {
    "name in a gzip header": _gz("Wolkenstein.nii"),
    "text inside a gzip": gzip.compress(b"for Wolkenstein", mtime=0),
    "name of a ZIP's member": _zip("Wolkenstein.txt", "nothing"),
    "text inside a ZIP": _zip("a.txt", "for Wolkenstein"),
    "header of a NIfTI map": _nifti("Wolkenstein"),
    "UTF-16": "\ufefffor Wolkenstein".encode("utf-16-le"),
    "Latin-1": "für Wolkenstein".encode("latin-1"),
    "base64 of the name": b"x=" + base64.b64encode(b"Wolkenstein"),
    "hexadecimal": b"Wolkenstein".hex().encode(),
    "bytes of no kind": b"\xff\xfe\xfd\0Wolkenstein\0\xff",
}


@pytest.mark.parametrize("kind", PACKED)
def test_whatever_is_packed_is_opened(kind: str) -> None:
    found = an_eye().residues(PACKED[kind], "feature")
    assert found and "wolkenstein" not in str(found).lower()


def test_what_cannot_be_read_is_a_finding_and_a_key_that_is_a_value_is_not_told() -> None:
    """DEID-09: an answer of 'nothing found' is given only for what was read to its end."""
    for broken in (b"%PDF-1.4 broken", b"PK\x03\x04 broken", b"\x1f\x8b broken", gzip.compress(b"x" * 9999)[:-9]):
        assert an_eye().residues(broken, "file"), broken[:8]
    found = an_eye().residues(json.dumps({"Wolkenstein": {"a": "PX-88-4417"}}).encode(), "json")
    assert {one.rule for one in found} == {"identity: name", "identity: identifier"} and "olkenst" not in str(found)


def test_noise_is_passed() -> None:
    """Maps hold numbers: only header and extensions of an image are text, and base64 of pictures is no text either."""
    noise = bytes((one * 7919 + one // 3) % 256 for one in range(60_000))
    packed = base64.b64encode(b"\x89PNG\r\n\x1a\n" + _png_of(noise)).decode()
    assert an_eye().residues(json.dumps({"picture": packed}).encode(), "json") == []
    assert an_eye().residues(_nifti("")[:352] + noise, "map") == []


def _png_of(noise: bytes) -> bytes:
    def chunk(kind: bytes, value: bytes) -> bytes:
        return len(value).to_bytes(4, "big") + kind + value + zlib.crc32(kind + value).to_bytes(4, "big")

    return chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", noise) + chunk(b"IEND", b"")


def test_the_values_of_a_study_are_kept_with_it_and_looked_for_later(tmp_path: Path) -> None:
    """DEID-09, DEID-10: what the verifier took from the source serves again, without the source."""
    answer = deidentified([an_instance(tmp_path / "in.dcm")], tmp_path / "out")
    again = stored(storable(answer.wanted), answer.linking)
    assert again.values == answer.wanted.values and again.dates == answer.wanted.dates
    eye = Look(Sought(known=[again]))
    for told in ("for Wolkenstein", "PX 88 4417", "at Eulenklinik", "1.2.3.4.5.6.7.1", "b. 29.02.1944", "Korund, Ottokar"):
        assert eye.in_text(told, "note"), told
    assert eye.in_text("64 directions, FA 0.42, nothing of note", "note") == []


def test_a_study_that_was_never_deidentified_is_read_when_it_is_needed(tmp_path: Path) -> None:
    source = an_instance(tmp_path / "in.dcm")
    (tmp_path / "broken.dcm").write_bytes(b"no DICOM")
    files = [SourceFile(instance=one, series="s", path=str(tmp_path / f"{one}.dcm")) for one in ("broken", "gone", "in")]
    assert source.exists()
    (tmp_path / "note.txt").write_text("for Cassiopeia")
    (tmp_path / "other.txt").write_text("for nobody")
    with pytest.raises(IdentityFound) as found:
        look(Sought(files=files), [("txt", tmp_path / "note.txt"), ("other", tmp_path / "other.txt")])
    assert found.value.facts == {"count": 1, "place": "txt, line 1", "rule": "identity: name"}
    assert list(look(Sought(files=files), [("other", tmp_path / "other.txt")])) == ["other"]


def test_nobody_is_looked_for_where_nothing_is_known() -> None:
    assert Sought().empty and Look(Sought()).residues(b"for Wolkenstein", "txt") == []
