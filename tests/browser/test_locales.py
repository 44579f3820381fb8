"""The editor in other languages: nodes, tooltips, the player and the timeline."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hosting import locales
from hosting.browser import LOADED
from hosting.host import Host

from .waiting import ADD, until_still

SET = "language => app.extensionManager.setting.set('Comfy.Locale', language)"
NAMES = """() => {
    const [node] = app.graph._nodes;
    return {
        title: node.title,
        inputs: Object.fromEntries(node.inputs.map(i => [i.name, i.localized_name ?? i.label])),
        widgets: Object.fromEntries((node.widgets ?? []).map(w => [w.name, w.label])),
        outputs: node.outputs.map(output => output.localized_name),
    };
}"""
VARY = """() => {
    const widgets = app.graph._nodes.flatMap(node => node.widgets ?? []);
    widgets.find(widget => widget.name === "seed").value = 77;
}"""
TEXT = """async ([pack, key, values]) =>
    (await import(`/extensions/${pack}/shared/i18n.js`)).t(key, values)"""


@pytest.fixture(autouse=True)
def english_afterwards(host: Host) -> Iterator[None]:
    """The pages of other tests find the language that they expect."""
    yield
    host.client.post("/settings/Comfy.Locale", "en")  # a page that is closing may not get it there


@pytest.fixture
def speaking(page, host: Host) -> Iterator[Callable[[str], Any]]:
    """speaking(language) is the editor, loaded in it."""

    def load(language: str) -> Any:
        page.evaluate(SET, language)
        page.reload(wait_until="domcontentloaded")
        page.wait_for_function(LOADED)
        return page

    yield load


def test_a_node_is_shown_in_chinese(
    speaking: Callable[[str], Any], host: Host, artifacts: Path
) -> None:
    if host.release == "0.3.75":
        pytest.skip("its editor loads a language over what packs gave; tests/host asks /i18n there")
    page, known = speaking("zh"), locales.catalogue("zh")
    page.evaluate("app.extensionManager.setting.set('Comfy.VueNodes.Enabled', true)")
    page.evaluate(ADD, "CausVid_VideoToVideo")
    shown = page.evaluate(NAMES)
    assert shown["title"] == known.texts["CausVid Video to Video"]
    assert shown["inputs"]["stream"] == known.inputs["stream"]
    assert shown["widgets"]["strength"] == known.inputs["strength"]
    assert shown["outputs"][2] == known.outputs["PX_FRAMES"]
    page.wait_for_function(
        "text => document.querySelector('[data-node-id]')?.innerText.includes(text)",
        arg=known.inputs["strength"],
    )
    page.get_by_text(known.inputs["switch"], exact=True).first.hover()
    inputs = host.object_info["CausVid_VideoToVideo"]["input"]["optional"]
    page.get_by_text(known.texts[inputs["switch"][1]["tooltip"]]).first.wait_for()
    page.screenshot(path=artifacts / f"locale-zh-{host.release}.png")
    assert page.own_errors == []


@pytest.mark.parametrize("language", locales.LANGUAGES)
def test_the_timeline_speaks_the_language(
    speaking: Callable[[str], Any], host: Host, artifacts: Path, language: str
) -> None:
    page, known = speaking(language), locales.catalogue(language)
    page.evaluate(ADD, "CausVid_PromptSchedule")
    title = known.texts[locales.widget_texts()["timeline.title"]]
    page.wait_for_selector(f'[aria-label="{title}"]')
    until_still(page)
    page.screenshot(path=artifacts / f"timeline-{language}-{host.release}.png")
    assert page.own_errors == []


def test_the_player_speaks_the_language(
    speaking: Callable[[str], Any], host: Host, artifacts: Path
) -> None:
    page, known = speaking("ja"), locales.catalogue("ja")
    page.evaluate("graph => app.loadGraphData(graph)", host.workflow("text_to_video_mini"))
    page.evaluate(VARY)
    page.click('[data-testid="queue-button"]')
    title = known.texts[locales.widget_texts()["player.title"]]
    page.wait_for_selector(f'[aria-label="{title}"]', timeout=120_000)
    until_still(page)
    page.screenshot(path=artifacts / f"player-ja-{host.release}.png")
    assert page.own_errors == []


def test_texts_follow_the_setting_and_fall_back(page, host: Host) -> None:
    english = locales.widget_texts()

    def text(key: str, **values: Any) -> str:
        return page.evaluate(TEXT, [host.pack.name, key, values])

    for language in locales.LANGUAGES:
        page.evaluate(SET, language)
        assert text("player.play") == locales.catalogue(language).texts[english["player.play"]]
    page.evaluate(SET, "zh-TW")
    assert text("player.play") == locales.catalogue("zh").texts[english["player.play"]]
    page.evaluate(SET, "fr")
    assert text("player.play") == english["player.play"]
    assert text("no.such.key") == "no.such.key"
    shown = text("player.spoken", seconds=1.5, all="<b>2</b>")
    expected = english["player.spoken"].replace("{seconds}", "1.5")
    assert shown == expected.replace("{all}", "<b>2</b>")
    assert "{all}" in text("player.spoken", seconds=1)
