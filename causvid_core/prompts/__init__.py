"""Prompt schedules: their text, their layout over the blocks of a stream, mixed embeddings.

    schedule_text, entry_head   the grammar: text -> entries (an artist calls an entry a scene)
    entries                     when each entry begins, and which blocks it covers; plain numbers
    layout                      entries with their embeddings -> the prompt of every block
    blending                    weighted means and arcs between embeddings

Others use the names below. The rest is private, except to the tests of the browser's grammar.
"""

from .._lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        "INTERPOLATIONS": "blending",
        "SCENE_SECONDS": "entries",
        "Defaults": "entries",
        "EncodedSchedule": "layout",
        "Entry": "entries",
        "ScheduleError": "schedule_errors",
        "distinct_texts": "layout",
        "parse_schedule": "schedule_text",
        "parse_times": "schedule_text",
    },
)
