"""Colours and markers of all pictures: plain values, which need no matplotlib.

The colours are those of Okabe and Ito (2008), Color universal design, which people of every colour vision tell apart.
Seven colours and eight markers come round at different times: 56 components differ in one of them, and shape tells
neighbours apart where there is no colour at all.
"""

from __future__ import annotations

BLUE, VERMILLION, GREEN, PURPLE = "#0072B2", "#D55E00", "#009E73", "#CC79A7"
ORANGE, SKY, YELLOW = "#E69F00", "#56B4E9", "#F0E442"

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, YELLOW)
"""Of components 0, 1, 2, ...; after the last comes the first again."""
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
"""Likewise, as matplotlib writes them."""

INK, FAINT = "#2B2D33", "#B8BCC6"
"""Lines and words that belong to no component: what matters, and what is behind it."""
E_HALF, M_HALF = BLUE, VERMILLION
"""Of the halves of a step: an E-step or assignment, an M-step or refit."""


def colour(j: int) -> str:
    """The colour of component j, as #RRGGBB."""
    return COLOURS[j % len(COLOURS)]


def marker(j: int) -> str:
    """The marker of component j, as matplotlib writes it."""
    return MARKERS[j % len(MARKERS)]
