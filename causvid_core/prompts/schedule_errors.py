"""Errors of a schedule's text, in sentences that the timeline in the browser shares."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path


class ScheduleError(ValueError):
    """A schedule that cannot be read.

    key and values select and complete a sentence of schedule_errors.json, which the timeline in
    the browser shares. line and column count from 1; text is what stands there.
    """

    def __init__(
        self, key: str, line: int, column: int, text: str = "", **values: str | int
    ) -> None:
        sentences = _sentences()
        short = text if len(text) <= 40 else f"{text[:37]}..."
        problem = sentences[key].format(text=short, **values)
        super().__init__(sentences["place"].format(line=line, column=column, problem=problem))
        self.key, self.values = key, values
        self.line, self.column, self.text = line, column, text


@cache
def _sentences() -> dict[str, str]:
    """What a ScheduleError says, by key."""
    sentences: dict[str, str] = json.loads(
        Path(__file__).with_name("schedule_errors.json").read_text("utf-8")
    )
    return sentences
