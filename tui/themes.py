"""The two themes: the Okabe-Ito hues on dark and on light."""

from textual.theme import Theme

DARK = Theme(
    name="ranvier-dark",
    primary="#0072B2",
    secondary="#56B4E9",
    accent="#56B4E9",
    warning="#E69F00",
    error="#F0772B",
    success="#2BC49A",
    background="#101418",
    surface="#1A2026",
    panel="#1F262D",
    foreground="#E4E8EC",
    dark=True,
)
LIGHT = Theme(
    name="ranvier-light",
    primary="#0072B2",
    secondary="#0072B2",
    accent="#00558A",
    warning="#8A5F00",
    error="#B44A00",
    success="#007857",
    background="#FAFAF8",
    surface="#EEF0F0",
    panel="#E2E6E8",
    foreground="#15191C",
    dark=False,
)
