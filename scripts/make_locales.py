"""Writes locales/: every text and message of the nodes and widgets, in all languages of the pack.

    .causvid/venv/bin/python scripts/make_locales.py

Run it after changing a text of nodes/texts.json, nodes/messages.json, web/shared/texts.js or
causvid_core/prompts/schedule_errors.json, or a translation in scripts/translations. It lists the
translations that are missing; those texts stay English. `python scripts/test.py` makes the
environment that it needs (in CAUSVID_HOME, or .causvid).
"""

import sys
import tempfile
from pathlib import Path

from hosting import locales
from hosting.environment import Environment
from hosting.host import Host
from hosting.pins import HOST_RELEASES

OLDEST = next(iter(HOST_RELEASES))


def main() -> int:
    environment = Environment()
    environment.ensure([OLDEST])
    with tempfile.TemporaryDirectory() as folder, Host(environment, OLDEST, Path(folder)) as host:
        nodes = locales.node_texts(host.object_info)
    locales.SCHEDULE_ERRORS_MODULE.write_text(locales.schedule_errors_module(), "utf-8")
    widgets = locales.widget_texts()
    write("en", nodes, widgets)
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
            print(f"{language} has no translation of: {text}")
        complete = complete and not missing
    return 0 if complete else 1


def write(language: str, nodes: locales.Texts, widgets: dict[str, str]) -> None:
    """The files of one language."""
    folder = locales.LOCALES / language
    folder.mkdir(parents=True, exist_ok=True)
    for name, texts in (
        ("nodeDefs", nodes),
        ("main", locales.main_texts(widgets)),
        ("settings", locales.setting_texts(widgets)),
    ):
        (folder / f"{name}.json").write_text(locales.as_json(texts), "utf-8")


if __name__ == "__main__":
    sys.exit(main())
