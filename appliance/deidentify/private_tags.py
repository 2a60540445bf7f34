"""Private attributes that stay, by private creator: what diffusion conversion needs, and nothing else.

All other private attributes go (PS3.15 Retain Safe Private Option, with our own list of what is safe). A listed attribute
stays only as the VR given here: numbers must be numbers, codes and text are scrubbed like any other text, `CSA` is rebuilt
from an allow-list of its own (`csa`), sequences are entered. Element numbers are within the creator's block (PS3.5, 7.8.1).
"""

from collections.abc import Mapping
from functools import lru_cache

CSA_IMAGE = "CSA image"
CSA_SERIES = "CSA series"
NUMERIC = frozenset({"DS", "IS", "FD", "FL", "SL", "SS", "UL", "US"})
FIXED_SIZE = {"FD": 8, "FL": 4, "SL": 4, "SS": 2, "UL": 4, "US": 2}


def _block(listed: str) -> dict[int, str]:
    pairs = [word.split(":") for word in listed.split()]
    return {int(element, 16): vr for element, vr in pairs}


_SIEMENS_FRAME = _block(
    """01:IS 03:DS 04:DS 1A:SH 1C:IS 24:IS 33:IS 42:IS 45:SL 48:IS 49:IS 51:UL 53:FD 56:LO 58:SH 59:IS 5B:FD 5E:IS
    75:CS 76:LO 77:LO 78:CS 79:CS 88:DS 8A:IS FE:SQ"""
)

ALLOWED: Mapping[tuple[int, str], Mapping[int, str]] = {
    (0x0019, "SIEMENS MR HEADER"): _block(
        "0A:US 0B:DS 0C:IS 0D:CS 0E:FD 12:SL 13:SL 14:IS 15:FD 16:DS 17:DS 18:IS 27:FD 28:FD 29:FD"
    ),
    (0x0051, "SIEMENS MR HEADER"): _block("0B:LO 0C:LO 0E:LO 0F:LO 11:LO 12:SH 13:SH 17:SH 19:LO"),
    (0x0029, "SIEMENS CSA HEADER"): {0x10: CSA_IMAGE, 0x20: CSA_SERIES},
    (0x0021, "SIEMENS MR SDS 01"): _block(
        "01:IS 04:DS 05:IS 09:LO 0A:DS 0C:SH 0D:US 0F:DS 11:DS 12:FD 13:DS 14:IS 16:DS 17:DS 18:SH 1B:DS 1C:DS 1D:IS "
        "25:SL 27:US 30:DS 31:IS 32:SS 34:DS 35:DS 36:DS 37:SH 3D:CS 44:DS 45:CS 47:CS 50:US 51:US 53:CS 5A:CS 5B:CS "
        "5C:CS 5D:SL 5E:LO 5F:SH 61:SH FE:SQ"
    ),
    (0x0021, "SIEMENS MR SDI 02"): _SIEMENS_FRAME,
    (0x0021, "SIEMENS MR SDR 01"): _block("FE:SQ"),
    (0x0019, "GEMS_ACQU_01"): _block(
        "17:SS 18:LO 19:DS 1A:LO 1B:DS 1E:DS 5A:FL 7D:DS 7E:SS 7F:DS 9B:SS 9C:LO 9E:LO 9F:SS A2:SL A7:DS A8:DS A9:DS AA:DS "
        "AB:DS AC:DS AD:DS AE:DS AF:DS B0:DS B1:DS B2:DS B3:DS B4:DS B5:DS B6:DS B7:DS B8:DS B9:DS BA:DS BB:DS BC:DS BD:DS "
        "D5:SS D9:DS DF:DS E0:DS E2:DS"
    ),
    (0x0021, "GEMS_RELA_01"): _block("4F:SS 56:SL 57:SL 5A:SL 5E:DS"),
    (0x0025, "GEMS_SERS_01"): _block("06:SS 07:SL 11:SS 14:SL 19:SL"),
    (0x0027, "GEMS_IMAG_01"): _block("10:SS 31:SS 32:SS 33:UL 35:SS 40:SH 41:FL 60:FL 61:FL 62:FL"),
    (0x0043, "GEMS_PARM_01"): _block(
        "02:SS 03:SS 04:SS 06:SS 07:SS 2C:SS 2F:SS 30:SS 32:SS 38:FL 39:IS 6F:DS 7C:FL 83:DS 84:LO 8A:CS 90:LO 91:DS 95:LO "
        "96:CS 97:LO A3:CS A4:LO A5:IS A7:CS B6:LO B7:LO CA:LO"
    ),
    (0x2001, "PHILIPS IMAGING DD 001"): _block(
        "01:FL 02:IS 03:FL 04:CS 06:CS 07:CS 08:IS 09:FL 0A:IS 0B:CS 10:CS 11:FL 12:CS 13:SL 14:SL 15:SS 16:SS 17:SL 18:SL "
        "19:CS 1A:FL 1B:FL 1C:CS 1D:IS 1F:CS 20:LO 21:CS 22:FL 23:DS 25:SH 2D:SS 32:FL 33:CS 35:SS 36:CS 5F:SQ 60:SL 7B:IS "
        "81:IS 82:IS 83:DS 84:DS 85:DS 86:IS 87:SH 88:DS 89:DS 8A:DS 8B:SH"
    ),
    (0x2005, "PHILIPS MR IMAGING DD 001"): _block(
        "00:FL 01:FL 02:FL 05:CS 08:FL 09:FL 0A:FL 0B:FL 0C:FL 0D:FL 0E:FL 11:CS 1D:SS 20:SL 21:SS 30:FL 33:FL 3E:SL 54:FL "
        "55:FL 56:FL 57:FL 58:FL 59:FL 5A:FL 5B:FL 5C:FL 5D:CS 5E:CS 61:CS 63:SS 6E:CS 6F:CS 71:FL 72:FL 73:FL 74:FL 75:FL "
        "76:FL 78:FL 79:FL 7A:FL 7B:CS 7E:FL 81:CS 85:SQ A0:FL A1:CS A2:CS A9:CS B0:FL B1:FL B2:FL C0:CS"
    ),
    (0x2005, "PHILIPS MR IMAGING DD 002"): _block("10:LO"),
    (0x2005, "PHILIPS MR IMAGING DD 005"): _block(
        "06:SS 09:DS 0A:DS 0B:LO 0F:SQ 12:IS 13:IS 14:SL 15:SL 29:CS 3C:FL 3D:FL 3E:FL 96:IS"
    ),
    (0x0065, "IMAGE PRIVATE HEADER"): _block(
        "04:SH 05:SH 09:FD 0A:FD 0D:SH 0F:SH 13:FD 14:DS 15:DS 16:UL 25:DS 29:SH 2D:ST 2F:FL 37:FD 38:FD 50:DS 51:SQ 58:IS"
    ),
    (0x700D, "CANON_MEC_MR3"): _block("00:DS 05:DS 0C:CS 80:SQ"),
    (0x700D, "TOSHIBA_MEC_MR3"): _block("00:DS 05:DS 0C:CS 80:SQ"),
}


@lru_cache(maxsize=1024)
def creator_key(group: int, creator: str) -> tuple[int, str]:
    """How a private creator is looked up: spelling of spaces and case vary between software versions."""
    return group, " ".join(creator.split()).upper()


def allowed(group: int, creator: str, element: int) -> str:
    """The VR as which a private attribute may stay (element number within its block), or nothing."""
    return ALLOWED.get(creator_key(group, creator), {}).get(element & 0xFF, "")
