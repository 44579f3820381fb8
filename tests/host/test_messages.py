"""What running nodes say: one catalogue, complete in every language, in the editor's language."""

import ast
import json
import re
from collections.abc import Iterator
from string import Formatter

import pytest
from hosting import locales
from hosting.environment import ROOT
from hosting.host import Host

from .prompts import mini_prompt

KEY = re.compile(r"[a-z]+\.[a-z0-9_]+")
LANGUAGE = "Comfy.Locale"


def constants() -> Iterator[str]:
    """Every string in the code of the nodes that looks like a key."""
    for path in (ROOT / "nodes").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                if KEY.fullmatch(node.value):
                    yield node.value


def fields(template: str) -> set[tuple[str, str]]:
    """Names of a template's values, with their formats."""
    found = Formatter().parse(template)
    return {(name, form or "") for _, name, form, _ in found if name is not None}


def forms(template: str | dict[str, str]) -> list[str]:
    return [template] if isinstance(template, str) else list(template.values())


def translated(language: str) -> dict[str, str]:
    return json.loads((locales.LOCALES / language / "messages.json").read_text("utf-8"))


def test_the_code_and_the_catalogue_have_the_same_keys() -> None:
    groups = {key.split(".")[0] for key in locales.messages()}
    used = {key for key in constants() if key.split(".")[0] in groups}
    assert used == locales.messages().keys()


def test_a_pair_of_templates_has_a_count_and_both_forms() -> None:
    for key, template in locales.messages().items():
        if isinstance(template, dict):
            assert template.keys() == {"one", "other"}, key
            assert fields(template["one"]) <= fields(template["other"]) | {("count", "")}, key


@pytest.mark.parametrize("language", locales.LANGUAGES)
def test_every_message_is_translated_with_the_same_values(language: str) -> None:
    english, found = locales.messages(), translated(language)
    assert found.keys() == english.keys(), "run scripts/make_locales.py"
    for key, template in english.items():
        wanted = fields(forms(template)[-1])
        # Where a count decides the English alone, another language may still name it.
        assert wanted <= fields(found[key]) <= wanted | {("count", "")}, key


@pytest.mark.parametrize("language", ["ko", "en", "xx", 7])
def test_notices_and_errors_are_in_the_language_of_the_editor(host: Host, language: str) -> None:
    """Where the pack does not speak it, they are English."""
    texts = translated("ko") if language == "ko" else locales.messages()
    length = texts["length.made"]
    length = length if isinstance(length, str) else length["one"]
    refused = texts["prompt.none"]
    before = host.client.get("/settings").get(LANGUAGE)
    host.client.post(f"/settings/{LANGUAGE}", language)
    try:
        run = host.run(mini_prompt(px_frames=9))
        prompt = mini_prompt()
        del prompt["video"]["inputs"]["positive"]
        error = host.run(prompt).error.strip()
    finally:
        host.client.post(f"/settings/{LANGUAGE}", before)
    notices = [notice.text for notice in run.notices if notice.node_id == "video"]
    assert notices[0] == length.format(frames=9, seconds=9 / 16, count=1)
    assert error == refused
