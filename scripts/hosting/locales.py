"""The pack's texts as ComfyUI reads them: locales/<language>/{nodeDefs,main,settings}.json.

English stands in nodes/texts.json, in web/shared/texts.js and, for what Python says too, in
causvid_core/prompts/schedule_errors.json, from which web/shared/schedule_errors.js is made.
Notices and errors of running nodes stand in nodes/messages.json; their translations go to
locales/<language>/messages.json, which the nodes read themselves.

The other languages translate sentence by sentence, from scripts/translations/<language>.json: a
sentence that many nodes share is translated once, and a changed sentence is reported as missing
instead of keeping a translation of its old meaning.

No text of a node holds { } @ | or $: some editors read them as signs of their message format,
others show the escape signs.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from .environment import ROOT

LANGUAGES = ("zh", "ja", "ko")
NODE_PREFIX = "CausVid_"
LOCALES, TRANSLATIONS = ROOT / "locales", ROOT / "scripts" / "translations"
MESSAGES = ROOT / "nodes" / "messages.json"
WIDGET_TEXTS = ROOT / "web" / "shared" / "texts.js"
SCHEDULE_ERRORS = ROOT / "causvid_core" / "prompts" / "schedule_errors.json"
SCHEDULE_ERRORS_MODULE = ROOT / "web" / "shared" / "schedule_errors.js"
NAMESPACE = "causvid"  # of main.json, whose keys all packs share
# Settings of the editor that a widget registers, and the key of its name; the tooltip's follows it.
SETTINGS = {"CausVid.LiveFrames": "player.setting"}
Texts = dict[str, Any]


class Catalogue(NamedTuple):
    """One language. inputs, outputs: by the names that schemas give them; texts: by the English."""

    texts: dict[str, str]
    inputs: dict[str, str]
    outputs: dict[str, str]


def catalogue(language: str) -> Catalogue:
    """The translations of a language."""
    return Catalogue(**json.loads((TRANSLATIONS / f"{language}.json").read_text("utf-8")))


def node_texts(schemas: Texts) -> Texts:
    """nodeDefs.json in English, of the pack's nodes in a server's `/object_info`."""
    return {
        name: _node(schema)
        for name, schema in sorted(schemas.items())
        if name.startswith(NODE_PREFIX)
    }


def widget_texts() -> dict[str, str]:
    """The English of the pack's own widgets, by key."""
    source = WIDGET_TEXTS.read_text("utf-8")
    own = json.loads(source[source.index("{", source.index("ENGLISH")) : source.rindex("}") + 1])
    return own | schedule_errors()


def schedule_errors() -> dict[str, str]:
    """What is said about a schedule that cannot be read, by the widgets' keys."""
    sentences = json.loads(SCHEDULE_ERRORS.read_text("utf-8"))
    return {f"timeline.error.{key}": sentence for key, sentence in sentences.items()}


def schedule_errors_module() -> str:
    """The content of the JavaScript module with those sentences."""
    return (
        "// Written by scripts/make_locales.py from causvid_core/prompts/schedule_errors.json.\n"
        f"export const SCHEDULE_ERRORS = {as_json(schedule_errors()).rstrip()};\n"
    )


def translated_nodes(english: Texts, known: Catalogue, missing: Callable[[str], None]) -> Texts:
    """nodeDefs.json in another language; `missing` receives every text that stays English."""

    def found(table: dict[str, str], english: str) -> str:
        if english not in table:
            missing(english)
        return table.get(english, english)

    def sockets(table: dict[str, str], sockets: Texts) -> Texts:
        return {
            key: {"name": found(table, s["name"]), "tooltip": found(known.texts, s["tooltip"])}
            for key, s in sockets.items()
        }

    return {
        name: {
            "display_name": found(known.texts, node["display_name"]),
            "description": found(known.texts, node["description"]),
            "inputs": sockets(known.inputs, node["inputs"]),
            "outputs": sockets(known.outputs, node["outputs"]),
        }
        for name, node in english.items()
    }


def translated_widgets(
    english: dict[str, str], known: Catalogue, missing: Callable[[str], None]
) -> dict[str, str]:
    """The widgets' texts in another language, by key."""
    for text in english.values():
        if text not in known.texts:
            missing(text)
    return {key: known.texts.get(text, text) for key, text in english.items()}


def messages() -> dict[str, str | dict[str, str]]:
    """What running nodes say, in English, by key; a pair of templates where a count decides."""
    return json.loads(MESSAGES.read_text("utf-8"))


def translated_messages(known: Catalogue, missing: Callable[[str], None]) -> dict[str, str]:
    """The same in a language without plural forms; what has no translation is left out."""
    found = {}
    for key, template in messages().items():
        english = template if isinstance(template, str) else template["other"]
        if english in known.texts:
            found[key] = known.texts[english]
        else:
            missing(english)
    return found


def main_texts(widgets: dict[str, str]) -> Texts:
    """main.json."""
    return {NAMESPACE: widgets}


def setting_texts(widgets: dict[str, str]) -> Texts:
    """settings.json."""
    return {
        setting.replace(".", "_"): {"name": widgets[key], "tooltip": widgets[f"{key}_tooltip"]}
        for setting, key in SETTINGS.items()
    }


def as_json(texts: Texts) -> str:
    """The content of a file."""
    return json.dumps(texts, indent=2, ensure_ascii=False) + "\n"


def _node(schema: Texts) -> Texts:
    inputs = schema["input"].get("required", {}) | schema["input"].get("optional", {})
    outputs = zip(schema["output_name"], schema["output_tooltips"], strict=True)
    return {
        "display_name": schema["display_name"],
        "description": schema["description"],
        "inputs": {
            name: {"name": name, "tooltip": spec[1]["tooltip"]} for name, spec in inputs.items()
        },
        "outputs": {
            str(place): {"name": name, "tooltip": tooltip}
            for place, (name, tooltip) in enumerate(outputs)
        },
    }
