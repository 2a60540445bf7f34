"""How things look: glyphs, colours and separators, rich or plain.

The API gives every state a glyph and a plain glyph; the colour follows from the plain one. Colours are the Okabe-Ito set,
which people with any colour vision can tell apart; a word always stands beside them.
"""

import locale
from collections.abc import Mapping
from dataclasses import dataclass

ON_DARK = {
    "o": "#56B4E9",
    ".": "#56B4E9",
    "?": "#56B4E9",
    "^": "#56B4E9",
    "~": "#56B4E9",
    "*": "#2BC49A",
    "X": "#F0772B",
    "!": "#E69F00",
    "-": "#9A9A9A",
}
ON_LIGHT = {
    "o": "#0072B2",
    ".": "#0072B2",
    "?": "#0072B2",
    "^": "#0072B2",
    "~": "#0072B2",
    "*": "#007857",
    "X": "#B44A00",
    "!": "#8A5F00",
    "-": "#5F5F5F",
}
"""The same hues, deeper: the plain set has too little contrast on white."""


@dataclass(frozen=True)
class Look:
    """The characters that a terminal can show."""

    plain: bool = False

    @property
    def hidden(self) -> str:
        """Stands for one hidden cell."""
        return "#" if self.plain else "▒"

    @property
    def dot(self) -> str:
        """Separates the parts of a line."""
        return "|" if self.plain else "·"

    @property
    def ellipsis(self) -> str:
        """Ends a text that was cut."""
        return "~" if self.plain else "…"

    @property
    def enter(self) -> str:
        """The name of the Enter key."""
        return "Ent" if self.plain else "⏎"

    @property
    def space(self) -> str:
        """The name of the space bar."""
        return "Spc" if self.plain else "␣"

    @property
    def down(self) -> str:
        """Newest first."""
        return "v" if self.plain else "↓"

    @property
    def up(self) -> str:
        """Oldest first."""
        return "^" if self.plain else "↑"

    @property
    def arrow(self) -> str:
        """Leads from one thing to the next."""
        return ">" if self.plain else "›"

    def glyph(self, glyph: str, plain_glyph: str) -> str:
        """The glyph that this terminal can show."""
        return plain_glyph if self.plain else glyph

    def bar(self, percent: float, width: int) -> str:
        """A progress bar of `width` cells."""
        filled = max(0, min(width, round(width * percent / 100)))
        full, empty = ("#", ".") if self.plain else ("█", "░")
        return full * filled + empty * (width - filled)


def colour(plain_glyph: str, *, dark: bool) -> str:
    """The colour of a state by its plain glyph."""
    return (ON_DARK if dark else ON_LIGHT).get(plain_glyph, "")


def look_for(environment: Mapping[str, str], *, ascii_only: bool = False) -> Look:
    """Plain where asked for, without colour, on the Linux virtual console, and where the locale is not UTF-8."""
    without_utf8 = "utf" not in locale.getpreferredencoding(False).lower()
    return Look(
        plain=ascii_only or bool(environment.get("NO_COLOR")) or environment.get("TERM") in {"linux", "dumb"} or without_utf8
    )
