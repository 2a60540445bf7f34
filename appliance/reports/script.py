"""Names in other scripts on a page: what the report's font can draw, Arabic joining, and right-to-left order.

The font is DejaVu Sans Condensed: Latin, Greek, Cyrillic, Armenian, Georgian, Hebrew and Arabic. A character that it cannot
draw becomes `□`, and the page says so. Joining follows the Unicode presentation forms of Arabic, order a plain form of the
bidirectional algorithm (UAX 9) that suits names: words of one direction, in lines of the other.
"""

import functools
import unicodedata
from collections.abc import Container

MISSING = "□"
_RIGHT_TO_LEFT = ("R", "AL")
_PAIRS = {")": "(", "]": "[", "}": "{", ">": "<"}
_MIRRORED = str.maketrans({**_PAIRS, **{opening: closing for closing, opening in _PAIRS.items()}})
_NEUTRAL = ("WS", "ON", "CS", "ES", "NSM", "BN")


def drawable(text: str, glyphs: Container[int]) -> str:
    """Text in visual order with joined Arabic letters; characters without a glyph become `□`."""
    if text.isascii():
        return text
    shaped = in_visual_order(joined(unicodedata.normalize("NFC", text)))
    kept = (one for one in shaped if unicodedata.category(one) not in ("Cf", "Cc"))
    return "".join(one if ord(one) in glyphs else MISSING for one in kept)


def in_visual_order(text: str) -> str:
    """Reverses each run of right-to-left letters with the neutral characters between them; brackets are mirrored."""
    result: list[str] = []
    run: list[str] = []
    for one in text:
        kind = unicodedata.bidirectional(one)
        if kind in _RIGHT_TO_LEFT or (run and kind in _NEUTRAL):
            run.append(one)
            continue
        result += _reversed_run(run)
        run = []
        result.append(one)
    return "".join([*result, *_reversed_run(run)])


def _reversed_run(run: list[str]) -> list[str]:
    # Neutral characters at the end belong to the line, not to the run, but a bracket stays with the one that it closes.
    end = len(run)
    while end and unicodedata.bidirectional(run[end - 1]) in _NEUTRAL and not _closes(run[:end]):
        end -= 1
    return [one.translate(_MIRRORED) for one in reversed(run[:end])] + run[end:]


def _closes(run: list[str]) -> bool:
    opening = _PAIRS.get(run[-1], "")
    return bool(opening) and run.count(opening) >= run.count(run[-1])


def joined(text: str) -> str:
    """Arabic letters in the form that their neighbours ask for, lam and alef as one."""
    forms = _forms()
    letters = _ligated(text)
    result = []
    for place, one in enumerate(letters):
        own = forms.get(one)
        if own is None:
            result.append(one)
            continue
        before = "initial" in forms.get(_neighbour(letters, place, -1), {})
        after = "final" in forms.get(_neighbour(letters, place, 1), {}) and "initial" in own
        wanted = ("medial" if after else "final") if before else ("initial" if after else "isolated")
        result.append(own.get(wanted, own.get("isolated", one)))
    return "".join(result)


def _neighbour(letters: list[str], place: int, step: int) -> str:
    """The next letter in one direction, vowel marks left out."""
    place += step
    while 0 <= place < len(letters) and unicodedata.bidirectional(letters[place][0]) == "NSM":
        place += step
    return letters[place] if 0 <= place < len(letters) else ""


def _ligated(text: str) -> list[str]:
    forms = _forms()
    letters: list[str] = []
    for one in text:
        if letters and letters[-1] == "\u0644" and "\u0644" + one in forms:
            letters[-1] += one
        else:
            letters.append(one)
    return letters


@functools.cache
def _forms() -> dict[str, dict[str, str]]:
    """Letter (or lam with alef) -> its isolated, final, initial and medial form."""
    found: dict[str, dict[str, str]] = {}
    for code in (*range(0xFB50, 0xFBFF), *range(0xFE80, 0xFEFD)):
        form, _, base = unicodedata.decomposition(chr(code)).partition(" ")
        letters = "".join(chr(int(one, 16)) for one in base.split())
        if len(letters) == 1 or (len(letters) == 2 and letters[0] == "\u0644"):
            found.setdefault(letters, {})[form.strip("<>")] = chr(code)
    return found
