"""A recipe from widgets: a preset, and any of its values changed."""

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ....causvid_core import Recipe, recipes
from ....causvid_core.stream import POSITIONS
from ..messages import message

PRESET = "from preset"
UNCHANGED: dict[str, Any] = {
    "warp": PRESET,
    "shift": 0.0,
    "frames_per_block": 0,
    "first_block_frames": -1,
    "window": -1,
    "sink": -1,
    "positions": PRESET,
    "context_timestep": -1,
}
"""What each widget holds while the preset decides; for numbers, the highest such value."""
NONE_AT_ZERO = ("first_block_frames", "window")


def recipe_inputs() -> list[Any]:
    """The preset, and the widgets that change its values."""

    def number(name: str, most: int) -> Any:
        return io.Int.Input(name, default=UNCHANGED[name], min=UNCHANGED[name], max=most)

    return [
        io.Combo.Input("preset", options=list(recipes), default="causvid"),
        io.String.Input("timesteps", default=""),
        io.Combo.Input("warp", options=[PRESET, "yes", "no"], default=PRESET),
        io.Float.Input("shift", default=0.0, min=0.0, max=100.0, step=0.1),
        number("frames_per_block", 64),
        number("first_block_frames", 64),
        number("window", 100000),
        number("sink", 1000),
        io.Combo.Input("positions", options=[PRESET, *POSITIONS], default=PRESET),
        number("context_timestep", 1000),
    ]


def make_recipe(preset: str = "causvid", timesteps: str = "", **widgets: Any) -> Recipe:
    """The preset with the values that the widgets change. ValueError says what does not fit."""
    if preset not in recipes:
        raise ValueError(message("recipe.no_preset", name=repr(preset), known=", ".join(recipes)))
    changes: dict[str, Any] = {}
    if timesteps.strip():
        # A preset with other steps for its first block would otherwise keep them.
        changes |= {"timesteps": _numbers(timesteps), "first_block_timesteps": None}
    for name, value in widgets.items():
        unchanged = UNCHANGED[name]
        if value == unchanged or (unchanged != PRESET and value < unchanged):
            continue
        if name == "warp":
            value = value == "yes"
        changes[name] = None if name in NONE_AT_ZERO and value == 0 else value
    return replace(recipes[preset], **changes)


def _numbers(text: str) -> tuple[float, ...]:
    parts = [part for part in text.replace(",", " ").split() if part]
    try:
        values = tuple(float(part) for part in parts)
    except ValueError:
        raise ValueError(message("recipe.timesteps", text=repr(text))) from None
    return values[:-1] if values and values[-1] == 0 else values
