"""Invented people in many scripts, and free text about them with a key of what must go and what must stay."""

import random
from dataclasses import dataclass, field

PEOPLE: tuple[tuple[str, str], ...] = (
    *((name, "ISO_IR 100") for name in ("Wolkenstein^Cassiopeia", "Brückner^Jörg", "García López^María", "Øster^Åse")),
    *((name, "ISO_IR 100") for name in ("O'Hara^Siobhan", "van der Berg^Pieter", "Quillfeather^Marigold^Anne", "Dupré^Hélène")),
    *((name, "ISO_IR 101") for name in ("Żółkiewska^Grażyna", "Šimek^Zdeněk", "Kovács^Ágnes")),
    *((name, "ISO_IR 144") for name in ("Люкceмбypг^Ольга", "Достоевский^Фёдор")),
    *((name, "ISO_IR 126") for name in ("Διονυσιος^Ελενη",)),
    *((name, "ISO_IR 138") for name in ("שרון^דבורה",)),
    *((name, "ISO_IR 127") for name in ("قباني^لنزار",)),
    *((name, "ISO_IR 148") for name in ("Yıldırım^Ayşegül",)),
    *((name, "ISO_IR 192") for name in ("Nguyễn^Thị Minh", "Wang^XiaoDong=王^小东", "Yamada^Tarou=山田^太郎=やまだ^たろう")),
    *((name, "GB18030") for name in ("Zhang^XiaoMei=张^小梅",)),
    *((name, "\\ISO 2022 IR 87") for name in ("Suzuki^Hanako=鈴木^花子",)),
    *((name, "\\ISO 2022 IR 149") for name in ("Hong^Gildong=洪^吉洞=홍^길동",)),
    *((name, "ISO_IR 100") for name in ("Head^Anna", "Long^Peter", "May^Theresa", "Young^Grace", "Field^Brian")),
)
"""Names as PN values, with the character set of their files; the last five are called like words of the trade."""

TECHNICAL = (
    "ep2d_diff_mddw_64_p2_s2", "MR BRAIN DTI", "AX T2 FLAIR 3mm", "DTI 30 dir b=1000/2000 TE 82.5", "cmrr_mbep2d_diff_MB3",
    "t1_mprage_sag_p2_iso_1.0", "FoV 216*216", "SENSE 2.5 AP", "CT HEAD W/O CONTRAST 5.0 H31s", "PET AC 3D OSEM 4i21s",
    "DWI tra 3 scan trace", "survey 3-plane localizer", "rec 1.25 x 1.25 x 2.5", "WIP DTI_high_iso SENSE", "isotropic 2mm 64ch",
    "HARDI multi-shell 3 x 30", "pCASL M0 TI 1800", "SWI mIP 8 slices", "RESOLVE 4-scan-trace ADC", "kernel B30f 120 kV",
)  # fmt: skip
"""What people really write that names nobody; must come through unchanged."""

_TEMPLATES = (
    "{tech} {who}", "{who} {tech}", "{tech} for {who}", "pt {who}, {tech}", "{tech}_{who}", "({who}) {tech}", "{tech};{who}",
    "{tech} / {who}", "seen: {who}. {tech}", "{who}: {tech}",
)  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Somebody invented."""

    name: str
    charset: str
    patient_id: str
    birth: str
    phone: str
    mail: str
    ssn: str

    @property
    def family(self) -> str:
        """The family name in Latin or the only script."""
        return self.name.split("=")[0].split("^")[0]

    @property
    def given(self) -> str:
        """The first given name."""
        return self.name.split("=")[0].split("^")[1]

    @property
    def words(self) -> list[str]:
        """Every part of the name in every script."""
        return [part for group in self.name.split("=") for part in group.split("^")]


@dataclass(frozen=True)
class Text:
    """A text with its key."""

    text: str
    gone: list[str] = field(default_factory=list)
    kept: str = ""


def a_person(chance: random.Random) -> Person:
    """One of them with numbers of their own."""
    name, charset = chance.choice(PEOPLE)
    digits = f"{chance.randrange(10**6, 10**7)}"
    return Person(
        name=name,
        charset=charset,
        patient_id=chance.choice((f"PX-{digits[:3]}-{digits[3:]}", digits, f"MRN{digits}", f"{digits}A")),
        birth=f"{chance.randrange(1935, 2015)}{chance.randrange(1, 13):02d}{chance.randrange(1, 29):02d}",
        phone=f"+1-{chance.randrange(200, 999)}-555-{chance.randrange(1000, 9999)}",
        mail=f"u{digits}@mail.example.org",
        ssn=f"{chance.randrange(100, 899)}-{chance.randrange(10, 99)}-{chance.randrange(1000, 9999)}",
    )


def spellings(person: Person) -> list[tuple[str, list[str]]]:
    """Ways to write who it is, each with the tokens that must be gone."""
    family, given, number = person.family, person.given, person.patient_id
    plain = "".join(letter for letter in number if letter.isalnum())
    day = person.birth
    ways = [
        (family, [family]),
        (family.upper(), [family.upper()]),
        (f"{given} {family}", [given, family]),
        (f"{family}, {given}", [given, family]),
        (f"{family}^{given}", [given, family]),
        (f"{given}_{family}", [given, family]),
        (f"{family}-{given}", [given, family]),
        (f"{given[:1]}. {family}", [family]),
        (f"{family} {given[:1]}.", [family]),
        (number, [number]),
        (number.lower(), [number.lower()]),
        (plain, [plain]),
        (number.replace("-", " "), [number.replace("-", " ")]),
        (person.phone, [person.phone[-8:]]),
        (person.mail, [person.mail]),
        (f"SSN {person.ssn}", [person.ssn]),
        (f"{day[6:]}.{day[4:6]}.{day[:4]}", [f"{day[6:]}.{day[4:6]}.{day[:4]}"]),
        (f"{day[:4]}-{day[4:6]}-{day[6:]}", [f"{day[:4]}-{day[4:6]}-{day[6:]}"]),
        (f"{day[4:6]}/{day[6:]}/{day[:4]}", [f"{day[4:6]}/{day[6:]}/{day[:4]}"]),
    ]
    if "=" in person.name:
        other = person.name.split("=")[1].split("^")
        ways += [("".join(other), ["".join(other)]), (" ".join(other), other[1:]), ("^".join(other), other[1:])]
    return ways


def a_text(chance: random.Random, person: Person) -> Text:
    """A description with the person in it; words of the trade that are their name are no part of what must stay."""
    who, gone = chance.choice(spellings(person))
    tech, template = chance.choice(TECHNICAL), chance.choice(_TEMPLATES)
    own = {word.casefold() for word in person.words}
    # An underscore may belong to the address behind it: nobody can tell.
    kept = "" if own & set(tech.replace("_", " ").casefold().split()) or ("@" in who and "{tech}_" in template) else tech
    return Text(template.format(tech=tech, who=who), gone, kept)
