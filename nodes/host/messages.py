"""What nodes say while they run, notices and errors, in the language of the editor.

English stands in nodes/messages.json, the other languages in locales/<language>/messages.json,
under the same keys. A template names its values in braces, as `str.format` reads them; where the
wording depends on `count`, it is a pair of templates, "one" and "other".
"""

import json
from functools import lru_cache
from pathlib import Path
from typing import Any

from .notice import visible
from .settings import setting

LANGUAGE_SETTING = "Comfy.Locale"
ENGLISH = "en"
PACK = Path(__file__).parents[2]

Templates = dict[str, str | dict[str, str]]


def message(key: str, **values: Any) -> str:
    """The sentence `key` with `values` put in, in the language of the editor or else in English.

    Raises KeyError for a key or a value that the English template does not have.
    """
    return localised(key, _filled(templates(ENGLISH)[key], values), **values)


def localised(key: str, english: str, **values: Any) -> str:
    """The sentence `key` in the language of the editor, or `english` if it has no translation."""
    language = setting(LANGUAGE_SETTING)
    if not isinstance(language, str) or language == ENGLISH:
        return english
    try:
        return _filled(templates(language)[key], values)
    except (LookupError, ValueError, TypeError, OSError):
        # A bad translation must never cost the artist a run.
        return english


def joined(*sentences: str) -> str:
    """Sentences, without the empty ones, one after the other."""
    return " ".join(filter(None, sentences)).replace(
        "\N{IDEOGRAPHIC FULL STOP} ", "\N{IDEOGRAPHIC FULL STOP}"
    )


@lru_cache(maxsize=8)
def templates(language: str) -> Templates:
    """Templates of a language by key; none for a language that the pack does not speak.

    Other languages than English have the sentences of the pack's widgets, too.
    """
    if language == ENGLISH:
        return json.loads((PACK / "nodes" / "messages.json").read_text("utf-8"))
    folder = PACK / "locales" / language
    if folder not in (PACK / "locales").iterdir():
        return {}
    widgets = json.loads((folder / "main.json").read_text("utf-8"))["causvid"]
    return widgets | json.loads((folder / "messages.json").read_text("utf-8"))


def _filled(template: str | dict[str, str], values: dict[str, Any]) -> str:
    if isinstance(template, dict):
        template = template["one" if values["count"] == 1 and "one" in template else "other"]
    return template.format(**{name: _shown(value) for name, value in values.items()})


def _shown(value: Any) -> Any:
    """A value as it is written; names and texts with everything in them that would not be seen."""
    return visible(str(value)) if isinstance(value, str | Path | BaseException) else value
