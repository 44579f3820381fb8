"""The files of the translations: complete, up to date and without translations of old texts."""

import json
import re
from typing import Any

import pytest
from hosting import locales

TRANSLATED = pytest.mark.parametrize("language", locales.LANGUAGES)
# Characters of the language's script; every sentence has at least one.
SCRIPTS = {
    "zh": r"[\u4e00-\u9fff]",
    "ja": r"[\u3040-\u30ff\u4e00-\u9fff]",
    "ko": r"[\uac00-\ud7a3]",
}


def read(language: str, name: str) -> Any:
    return json.loads((locales.LOCALES / language / f"{name}.json").read_text("utf-8"))


def english_texts() -> set[str]:
    """Every text that a catalogue translates as a text."""
    nodes = read("en", "nodeDefs").values()
    sockets = [s for node in nodes for s in (*node["inputs"].values(), *node["outputs"].values())]
    texts = [t for node in nodes for t in (node["display_name"], node["description"])]
    shown = {*texts, *(socket["tooltip"] for socket in sockets)}
    said = locales.messages().values()
    messages = {t for m in said for t in ([m] if isinstance(m, str) else m.values())}
    return shown | messages | set(locales.widget_texts().values())


def test_the_timeline_and_the_node_share_one_file_of_errors() -> None:
    module = locales.SCHEDULE_ERRORS_MODULE.read_text("utf-8")
    assert module == locales.schedule_errors_module(), "run scripts/make_locales.py"


def test_the_english_of_widgets_is_served_too() -> None:
    assert read("en", "main")[locales.NAMESPACE] == locales.widget_texts()


@TRANSLATED
def test_files_match_the_catalogue_and_nothing_is_missing(language: str) -> None:
    missing: list[str] = []
    known = locales.catalogue(language)
    nodes = locales.translated_nodes(read("en", "nodeDefs"), known, missing.append)
    widgets = locales.translated_widgets(locales.widget_texts(), known, missing.append)
    assert missing == []
    advice = "run scripts/make_locales.py"
    assert read(language, "nodeDefs") == nodes, advice
    assert read(language, "main") == locales.main_texts(widgets), advice
    assert read(language, "settings") == locales.setting_texts(widgets), advice


@TRANSLATED
def test_the_catalogue_has_no_translations_of_old_texts(language: str) -> None:
    known, english = locales.catalogue(language), read("en", "nodeDefs").values()
    assert set(known.texts) - english_texts() == set()
    assert set(known.inputs) == {name for node in english for name in node["inputs"]}
    assert set(known.outputs) == {o["name"] for node in english for o in node["outputs"].values()}


@TRANSLATED
def test_translations_keep_placeholders_and_are_in_their_language(language: str) -> None:
    for english, text in locales.catalogue(language).texts.items():
        assert sorted(re.findall(r"\{.*?\}", english)) == sorted(re.findall(r"\{.*?\}", text))
        sentence = english.endswith(".")
        assert not sentence or re.search(SCRIPTS[language], text), text
        assert not sentence or text.endswith((".", "\u3002")), text


@pytest.mark.parametrize("language", ("en", *locales.LANGUAGES))
def test_no_text_contains_characters_that_some_editors_replace(language: str) -> None:
    """Front end 1.32.9 reads them as message format in tooltips, 1.47.12 shows them."""
    for name in ("nodeDefs", "settings"):
        text = (locales.LOCALES / language / f"{name}.json").read_text("utf-8")
        values = re.findall(r'": "(.*)"', text)
        assert values and not [v for v in values if re.search(r"[{}@|$]", v)]
