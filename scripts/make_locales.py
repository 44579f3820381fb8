"""Writes locales/: every text of the nodes and widgets, in all languages of the pack.

    .causvid/venv/bin/python scripts/make_locales.py

Run it after changing a text of nodes/texts.json, nodes/messages.json, web/shared/texts.js or
causvid_core/prompts/schedule_errors.json, or a translation in scripts/translations. It lists the
missing translations; those texts stay English.
`python scripts/test.py` makes the environment that it needs (CAUSVID_HOME, if it is not .causvid).
"""

from hosting import command, locales
from hosting.host import temporary_host
from hosting.pins import OLDEST


def main() -> int:
    with temporary_host(OLDEST) as host:
        nodes = locales.node_texts(host.object_info)
    widgets = locales.widget_texts()
    write("en", nodes, widgets)
    locales.SCHEDULE_ERRORS_MODULE.write_text(locales.schedule_errors_module(), "utf-8")
    complete = True
    for language in locales.LANGUAGES:
        known, missing = locales.catalogue(language), dict[str, None]()
        write(
            language,
            locales.translated_nodes(nodes, known, missing.setdefault),
            locales.translated_widgets(widgets, known, missing.setdefault),
        )
        messages = locales.translated_messages(known, missing.setdefault)
        file = locales.LOCALES / language / "messages.json"
        file.write_text(locales.as_json(messages), "utf-8")
        for text in missing:
            print(f"{language}: no translation of: {text}")
        complete = complete and not missing
    return 0 if complete else 1


def write(language: str, nodes: locales.Texts, widgets: dict[str, str]) -> None:
    """Write the files of one language."""
    folder = locales.LOCALES / language
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in (
        ("nodeDefs", nodes),
        ("main", locales.main_texts(widgets)),
        ("settings", locales.setting_texts(widgets)),
    ):
        (folder / f"{name}.json").write_text(locales.as_json(texts), "utf-8")


if __name__ == "__main__":
    command.run(main)
