"""The words of the Mini's world and what they look like.

A prompt names one shape, its colour and size, what it does, and the background behind it:
``a large red star moving left and turning over a teal gradient background``.
Colours of shapes are bright and colours of backgrounds dark, and the two sets share no word, so
that a sentence means one picture whatever the order of its words.
"""

from __future__ import annotations

import difflib
import re

from PIL import ImageColor

SHAPES = ("circle", "square", "triangle", "star", "ring", "cross")
COLOURS = {
    "red": (0.93, 0.20, 0.20),
    "orange": (0.98, 0.56, 0.13),
    "yellow": (0.98, 0.88, 0.22),
    "green": (0.22, 0.86, 0.34),
    "blue": (0.22, 0.44, 0.98),
    "purple": (0.66, 0.30, 0.95),
    "pink": (0.99, 0.55, 0.78),
    "white": (0.96, 0.96, 0.96),
}
SIZES = {"small": 9.0, "medium": 12.0, "large": 15.0}  # radius in px on a canvas of 64 px
DIRECTIONS = {"left": (-1.0, 0.0), "right": (1.0, 0.0), "up": (0.0, -1.0), "down": (0.0, 1.0)}
SPEEDS = {"slowly": 0.5, "steadily": 1.0, "quickly": 1.75}  # px per px frame on 64 px
ACTIONS = ("turning", "growing", "pulsing", "circling")
SHADES = {
    "black": (0.07, 0.07, 0.08),
    "navy": (0.09, 0.13, 0.36),
    "teal": (0.05, 0.30, 0.32),
    "maroon": (0.34, 0.08, 0.14),
    "grey": (0.29, 0.30, 0.32),
    "olive": (0.25, 0.27, 0.08),
}
BACKGROUNDS = ("plain", "gradient", "striped", "dotted")

_MOTIONS = ("moving", *DIRECTIONS, *SPEEDS, *ACTIONS)
VOCABULARY: tuple[str, ...] = (*SHAPES, *COLOURS, *SIZES, *_MOTIONS, *SHADES, *BACKGROUNDS)

# Words without a meaning of their own here, which are skipped without a warning.
SILENT = frozenset(
    "a an the and over on in of to with is are it its at by while one single background "
    "backdrop ground video clip wall surface shape coloured colored".split()
)


def _by_alias(aliases: dict[str, str]) -> dict[str, str]:
    """The word of each alias, from the aliases of each word."""
    return {alias: word for word, own in aliases.items() for alias in own.split()}


ALIASES = _by_alias(
    {
        "circle": "ball disc disk dot",
        "square": "box block",
        "triangle": "pyramid",
        "ring": "donut doughnut hoop",
        "cross": "plus",
        "purple": "violet",
        "pink": "magenta rose",
        "yellow": "gold",
        "green": "lime",
        "red": "crimson",
        "large": "big huge",
        "small": "tiny little",
        "left": "leftwards leftward",
        "right": "rightwards rightward",
        "up": "upwards upward rising",
        "down": "downwards downward falling",
        "moving": "moves move drifting sliding gliding flying floating going",
        "quickly": "fast quick rapidly",
        "slowly": "slow",
        "turning": "spinning rotating turns spins rotates",
        "growing": "grows expanding",
        "pulsing": "breathing beating pulses",
        "circling": "orbiting circles",
        "grey": "gray",
        "striped": "stripes",
        "dotted": "dots spotted",
        "plain": "flat solid",
        "black": "dark",
    }
)
_PATTERNS = frozenset(
    ("checkered", "chequered", "checked", "checkerboard", "tiled", "grid", "patterned", "lined")
)
# After "over", "on" or "against" a shape's colour can only mean the background.
BACKGROUND_ALIASES = _by_alias(
    {
        "maroon": "red orange pink brown",
        "olive": "yellow green",
        "navy": "blue purple",
        "grey": "white",
        "teal": "cyan",
    }
)


def read_prompt(text: str) -> tuple[list[str], list[str]]:
    """Split a prompt into the vocabulary's words, in order and once each, and the unknown ones."""
    known: list[str] = []
    unknown: list[str] = []
    behind = False
    for word in re.findall(r"[a-z]+", text.lower()):
        behind = behind or word in ("over", "on", "against")
        word = BACKGROUND_ALIASES.get(word, word) if behind else word
        word = ALIASES.get(word, word)
        if word in VOCABULARY:
            if word not in known:
                known.append(word)
        elif word not in SILENT and word != "against" and word not in unknown:
            unknown.append(word)
    return known, unknown


def nearest_words(word: str) -> list[str]:
    """Up to three words of the vocabulary that an unknown one may stand for, nearest first.

    By spelling; for a colour of the web's by its look; for a pattern, the patterns there are.
    """
    if word in _PATTERNS:
        return [name for name in BACKGROUNDS if name != "plain"]
    if word in ImageColor.colormap:
        rgb = [channel / 255 for channel in ImageColor.getrgb(word)[:3]]
        palette = COLOURS | SHADES

        def distance(name: str) -> float:
            return sum((a - b) ** 2 for a, b in zip(palette[name], rgb, strict=True))

        return sorted(palette, key=distance)[:2]
    spelled = difflib.get_close_matches(word, [*VOCABULARY, *ALIASES], n=3, cutoff=0.75)
    return list(dict.fromkeys(ALIASES.get(found, found) for found in spelled))


def unknown_words(text: str) -> list[str]:
    """The words of a prompt that mean nothing here, each with the nearest ones that do.

    As in `["zebra", "checkered -> gradient, striped, dotted"]`.
    """
    found = ((word, nearest_words(word)) for word in read_prompt(text)[1])
    return [f"{word} -> {', '.join(near)}" if near else word for word, near in found]
