"""File names of jobs, from a pattern such as `batch/{index:03}_{prompt_slug}_{seed}`."""

from __future__ import annotations

import re
import string
import unicodedata

FIELDS = ("index", "prompt_slug", "seed", "name")

_LONGEST_SLUG = 40
_LONGEST_NAME = 200  # bytes of one folder or file; a number and a suffix follow
_WIDTH = re.compile(r"0\d{1,2}d?")
_FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\x7f]')
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)  # on Windows


class Pattern:
    """A file name with {index}, {prompt_slug}, {seed} and {name} in it; {index:03} pads with zeros.

    Nothing else is evaluated. Raises ValueError, in the artist's words, for other fields, and for
    names that are not allowed for files or lead out of their folder.
    """

    def __init__(self, pattern: str) -> None:
        self._parts: list[tuple[str, str, str]] = []
        example = "{index:03}_{prompt_slug}_{seed}"
        try:
            parsed = list(string.Formatter().parse(pattern))
        except ValueError:
            raise ValueError(
                f"the pattern {pattern!r:.80} has a brace too many or too few; write it like "
                f"{example}"
            ) from None
        for text, field, width, conversion in parsed:
            known = field is None or field in FIELDS
            sized = not width or (field in ("index", "seed") and _WIDTH.fullmatch(width))
            if not known or not sized or conversion:
                whole = f"{{{field}{f':{width}' if width else ''}}}"
                raise ValueError(
                    f"the pattern has {whole:.40}; it may have "
                    f"{', '.join(f'{{{name}}}' for name in FIELDS)}, and {{index:03}} for zeros"
                )
            self._parts.append((text, field or "", width or ""))
        self.fill(index=1, prompt="a", seed=0, name=None)

    def fill(self, *, index: int, prompt: str, seed: int, name: str | None) -> str:
        """The file name of one job; without a `name` of its own it uses the slug of the prompt."""
        short = slug(prompt)
        values: dict[str, int | str] = {
            "index": index,
            "seed": seed,
            "prompt_slug": short,
            "name": slug(name, 80, lower=False) if name else short,
        }
        made = "".join(
            text + (format(values[field], width) if field else "")
            for text, field, width in self._parts
        )
        return _checked(made)


def slug(text: str, longest: int = _LONGEST_SLUG, lower: bool = True) -> str:
    """Letters and digits of any script, every run of others as one underscore; never empty."""
    text = unicodedata.normalize("NFKC", text)
    words = re.findall(r"[\w-]+", text.lower() if lower else text)
    short = "_".join(words)[:longest].encode()[: 3 * _LONGEST_SLUG].decode(errors="ignore")
    return short.strip("_-") or "video"


def _checked(name: str) -> str:
    pieces = name.split("/")
    for piece in pieces:
        bare = piece.strip()
        if bare in ("", ".", "..") or "\\" in piece or _FORBIDDEN.search(piece):
            raise ValueError(
                f"the pattern gives the name {name!r:.80}, which cannot be a file in the output "
                "folder; use letters, digits, - and _, and / for folders"
            )
        if bare.endswith(".") or _RESERVED.fullmatch(bare) or len(piece.encode()) > _LONGEST_NAME:
            raise ValueError(f"the pattern gives {piece!r:.80}, which is not a valid file name")
    return name
