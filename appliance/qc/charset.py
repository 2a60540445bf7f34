"""Text in the character set that a header declares (PS3.3 section C.12.1.1.2), as far as comparing a description needs it."""

_CODECS = {
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859-2",
    "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4",
    "ISO_IR 144": "iso8859-5",
    "ISO_IR 127": "iso8859-6",
    "ISO_IR 126": "iso8859-7",
    "ISO_IR 138": "iso8859-8",
    "ISO_IR 148": "iso8859-9",
    "ISO_IR 203": "iso8859-15",
    "ISO_IR 13": "shift_jis",
    "ISO_IR 166": "iso8859-11",
    "ISO_IR 192": "utf-8",
    "ISO_IR 87": "iso2022_jp",
    "ISO_IR 159": "iso2022_jp_2",
    "ISO_IR 149": "euc_kr",
    "ISO_IR 58": "gb2312",
    "GB18030": "gb18030",
    "GBK": "gbk",
}


def decoded(raw: bytes, declared: str) -> str:
    """Text of an element; what cannot be decoded is replaced, so that it matches nothing."""
    names = [name.strip().replace("ISO 2022 IR", "ISO_IR") for name in declared.split("\\")]
    known = [name for name in names if name in _CODECS]
    codec = _CODECS[known[-1]] if known else "latin-1"
    return raw.decode(codec, "replace")
