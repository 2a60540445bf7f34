"""One identifying value at a time, in ten encodings, alone in otherwise clean text: none is missed."""

import base64
import random
from collections.abc import Callable
from urllib.parse import quote

import pytest

from appliance.deidentify.rules import Kind
from appliance.deidentify.search import Search, Wanted

ENCODINGS: dict[str, Callable[[str], bytes]] = {
    "plain": lambda text: text.encode(),
    "upper case": lambda text: text.upper().encode(),
    "lower case": lambda text: text.lower().encode(),
    "Latin-1": lambda text: text.encode("latin-1", "ignore"),
    "UTF-16 little endian": lambda text: text.encode("utf-16-le"),
    "UTF-16 big endian": lambda text: text.encode("utf-16-be"),
    "base64": lambda text: base64.b64encode(text.encode()),
    "base64 behind other text": lambda text: base64.b64encode(b"of " + text.encode() + b" and"),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "URL": lambda text: quote(text, safe="").encode(),
}
NAMES = tuple(
    """Wolkenstein^Cassiopeia|Brandt^Lena|Müller^Jörg|Nguyễn^Thị Minh|O'Hara^Siobhán|Øster^Åse|van der Berg^Pieter|Ivanova^Olga
    García López^María|Šimek^Zdeněk|Yilmaz^Ayşe|Kim^Minseo""".replace("\n    ", "|").split("|")
)
IDENTIFIERS = ("PX-88-4417", "MRN7741926", "ACC55120937", "078-05-1120", "V88214")
PLACES = ("Klinikum Grauwacke", "Eulenklinik", "Birkenallee 17, Musterhausen")
CLEAN = tuple(
    line.strip().encode()
    for line in r"""
    ep2d_diff_mddw_64_p2_s2
    MR BRAIN DTI
    ORIGINAL\PRIMARY\DIFFUSION\NONE
    *ep_b1000#12
    SIEMENS
    Prisma_fit
    syngo MR E11
    HEAD
    t1_mprage_sag_p2_iso_1.0
    HeadNeck_64
    M\SE\M\SE
    b=1000(0.1,-0.2,0.97)
    p2 s2 long TR
    DTI_high_iso, 32 directions, May protocol, head first
    [NAME_REMOVED] brain
    1.2.840.10008.5.1.4.1.1.4
    """.strip().splitlines()
)
COMMON = ("Head^Anna", "Long^Peter", "May^Theresa", "Ng^Li", "Young^Grace", "Field^Brain")


def a_search(names: tuple[str, ...] = NAMES) -> tuple[Search, list[str]]:
    """What is looked for, and each value as it could leak: four letters or more."""
    wanted = Wanted()
    values: list[str] = []
    for name in names:
        wanted.name(name)
        parts = name.split("^")
        values += [*parts, *(word for part in parts for word in part.split()), " ".join(parts), " ".join(reversed(parts))]
    for text in IDENTIFIERS:
        wanted.value(text, Kind.IDENTIFIER)
    for text in PLACES:
        wanted.value(text, Kind.PLACE)
    values += [*IDENTIFIERS, *PLACES]
    return Search(wanted), [value for value in dict.fromkeys(values) if sum(map(str.isalnum, value)) >= 4]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_value_of_four_letters_and_more_is_found_in_every_encoding(encoding: str) -> None:
    """DEID-09: recall 100 %."""
    search, values = a_search()
    chance = random.Random(encoding)
    missed = []
    for value in values:
        leaked = ENCODINGS[encoding](value)
        if encoding == "Latin-1" and leaked.decode("latin-1") != value:
            continue
        for text in (leaked, b"DTI " + leaked, leaked + b" b1000", chance.choice(CLEAN) + b"/" + leaked + b"/"):
            charset = b"ISO_IR 100" if encoding == "Latin-1" else b"ISO_IR 192"
            if not search.hits(text, charset, technical=False):
                missed.append((value, text))
    assert missed == []


def test_clean_text_gives_no_finding() -> None:
    """DEID-09: no false finding."""
    search, _ = a_search()
    assert [text for text in CLEAN if search.hits(text, b"ISO_IR 192", technical=True)] == []
    assert [text for text in CLEAN[:12] if search.hits(text, b"ISO_IR 192", technical=False)] == []


@pytest.mark.parametrize("name", COMMON)
def test_patients_named_like_words_of_the_trade_leave_technical_values_alone(name: str) -> None:
    """DEID-09: Head, Long, May, Ng: no finding in coded values, a finding for the full name in either order."""
    search, _ = a_search((name,))
    assert [text for text in CLEAN if search.hits(text, b"ISO_IR 192", technical=True)] == []
    family, given = name.split("^")
    for text in (f"scan of {given} {family}", f"{family.upper()}^{given.upper()}", f"{family}, {given}"):
        assert search.hits(text.encode(), b"ISO_IR 192", technical=False), text
