"""Errors of a schedule's text, in the language of the editor, as the timeline shows them."""

from collections.abc import Iterator
from contextlib import contextmanager

from ....causvid_core.prompts import ScheduleError
from ..messages import localised


@contextmanager
def translated_problems() -> Iterator[None]:
    """Raises a ScheduleError as a ValueError whose sentence is in the language of the editor."""
    try:
        yield
    except ScheduleError as error:
        raise ValueError(problem_text(error)) from error


def problem_text(error: ScheduleError) -> str:
    """What the error says, with its line and column."""
    key, text = f"timeline.error.{error.key}", f"{error.text:.40}"
    problem = localised(key, "", text=text, **error.values)
    place = {"line": error.line, "column": error.column}
    if not problem:
        return str(error)
    return localised("timeline.error.place", str(error), problem=problem, **place)
