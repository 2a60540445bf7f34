from struct import pack

import pytest

from appliance.deidentify.checks import csa_findings
from appliance.deidentify.csa import rebuilt
from appliance.deidentify.private_tags import CSA_IMAGE, CSA_SERIES

GARBAGE = b"1.2.3 Wolkenstein C:\\data\\"


def a_header(**elements: list[str]) -> bytes:
    """An SV10 header as a scanner writes it: remains of other memory behind every name and value."""
    parts = [b"SV10\x04\x03\x02\x01", pack("<LL", len(elements), 77)]
    for name, items in elements.items():
        named = (name.encode() + b"\0" + GARBAGE * 3)[:64]
        parts.append(named + pack("<l4slll", 1, b"DS\0\0", 3, len(items), 205))
        for item in items:
            content = item.encode() + b"\0" + GARBAGE
            parts.append(pack("<llll", len(content), len(content), 77, len(content)) + content + b"W" * (-len(content) % 4))
    return b"".join(parts) + GARBAGE


PROTOCOL = """<XProtocol> { "PatientName" "Wolkenstein" }
### ASCCONV BEGIN object=MrProtDataImpl@MrProtocolData ###
sSliceArray.ucMode\t = \t0x4
sPat.lAccelFactPE\t = \t2
alTE[0]\t = \t64000
sKSpace.lBaseResolution\t = \t20240311
tReferenceImage0\t = \t""1.2.3.4.2024031110""
sProtConsistencyInfo.tBaselineString\t = \t""Wolkenstein""
sSpecPara.lFinalMatrixSizePhase\t = \t19440229
sDiffusion.dsScheme\t = \t1
### ASCCONV END ###
trailing Wolkenstein"""


def test_an_image_header_keeps_listed_numbers_alone() -> None:
    """DEID-05: the allow-list is itself scrubbed: names, text and the memory between values do not pass."""
    source = a_header(
        B_value=["1000"], DiffusionGradientDirection=["0.6", "0.8", "0"], PatientName=["Wolkenstein"], EchoTime=["W"]
    )
    made = rebuilt(source, CSA_IMAGE)
    assert b"B_value" in made and b"1000" in made and b"0.8" in made
    assert b"Wolken" not in made and b"1.2.3" not in made and b"PatientName" not in made
    assert list(csa_findings(made)) == []


def test_a_series_header_keeps_listed_lines_of_the_protocol() -> None:
    """A date in a numeric line of the protocol, as real scanners write it, goes as well."""
    made = rebuilt(a_header(MrPhoenixProtocol=[PROTOCOL], UsedPatientWeight=["70"]), CSA_SERIES)
    for kept in (b"sSliceArray.ucMode\t = \t0x4", b"sPat.lAccelFactPE\t = \t2", b"alTE[0]\t = \t64000", b"sDiffusion.dsScheme"):
        assert kept in made
    for gone in (b"Wolken", b"2024", b"1944", b"tReferenceImage", b"XProtocol", b"Weight"):
        assert gone not in made
    assert list(csa_findings(made)) == []


@pytest.mark.parametrize("value", [b"", b"Wolkenstein", b"SV10\x04\x03\x02\x01\xff\xff\xff\xff", a_header(A=["1"])[:70]])
def test_what_is_no_header_goes(value: bytes) -> None:
    assert rebuilt(value, CSA_IMAGE) == b""


def test_the_verifier_refuses_a_header_as_the_scanner_wrote_it() -> None:
    """DEID-09: its own reading of the format accounts for every byte."""
    assert list(csa_findings(a_header(B_value=["1000"])))
    made = rebuilt(a_header(B_value=["1000"]), CSA_IMAGE)
    assert list(csa_findings(made + b"Wolkenstein"))
    assert list(csa_findings(made.replace(b"1000\0", b"1000W")))
