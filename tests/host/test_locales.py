"""Texts of the nodes as ComfyUI serves them: complete in every language, and as the nodes say."""

from typing import Any

import pytest
from hosting import locales
from hosting.host import Host


@pytest.fixture
def served(host: Host) -> dict[str, Any]:
    """What the editor is given, by language."""
    return host.client.get("/i18n")


def own(texts: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in texts["nodeDefs"].items() if k.startswith(locales.NODE_PREFIX)}


def test_english_is_what_the_nodes_say(host: Host, served: dict[str, Any]) -> None:
    assert own(served["en"]) == locales.node_texts(host.object_info), "run scripts/make_locales.py"


@pytest.mark.parametrize("language", locales.LANGUAGES)
def test_every_text_is_there_and_none_is_left_over(
    host: Host, served: dict[str, Any], language: str
) -> None:
    def paths(texts: Any, place: str = "") -> set[str]:
        if isinstance(texts, str):
            assert texts.strip(), place
            return {place}
        return {p for key, value in texts.items() for p in paths(value, f"{place}/{key}")}

    assert paths(own(served[language])) == paths(locales.node_texts(host.object_info))
    widgets = locales.NAMESPACE
    assert served[language][widgets].keys() == locales.widget_texts().keys()


def test_every_input_and_output_has_a_tooltip_of_whole_sentences(host: Host) -> None:
    for name, node in locales.node_texts(host.object_info).items():
        sockets = [*node["inputs"].items(), *node["outputs"].items()]
        texts = {key: socket["tooltip"] for key, socket in sockets}
        for key, text in {**texts, "description": node["description"]}.items():
            assert text.endswith(".") and len(text) > 5 and text == text.strip(), (name, key)
