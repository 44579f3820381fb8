"""A recipe: how a checkpoint is sampled."""

from dataclasses import replace
from typing import Any

from comfy_api.latest import io

from ..causvid_core import Recipe, recipes
from ..causvid_core.stream.recipe import POSITIONS
from .host.notice import show
from .host.schema import CausVidRecipe, advanced, schema

PRESET = "from preset"


class RecipeNode(io.ComfyNode):
    """A preset, and any of its values changed."""

    @classmethod
    def define_schema(cls) -> io.Schema:
        return schema(
            node_id="CausVid_Recipe",
            display_name="CausVid Recipe",
            description=(
                "How a causal checkpoint is sampled: its steps, blocks and window. Choose the "
                "preset of your checkpoint; every value can be changed below it."
            ),
            search_aliases=["causvid preset", "self forcing", "longlive", "steps", "kv window"],
            inputs=[
                io.Combo.Input(
                    "preset",
                    options=list(recipes),
                    default="causvid",
                    tooltip="The checkpoint that this recipe was published with.",
                ),
                *map(advanced, _changes()),
            ],
            outputs=[
                CausVidRecipe.Output(
                    "recipe", display_name="RECIPE", tooltip="For CausVid Text to Video."
                )
            ],
        )

    @classmethod
    def validate_inputs(cls, **widgets: Any) -> bool | str:
        """Check the values that are not linked, before anything is queued."""
        try:
            make_recipe(**{name: value for name, value in widgets.items() if value is not None})
        except ValueError as error:
            return str(error)
        return True

    @classmethod
    def execute(cls, **widgets: Any) -> io.NodeOutput:
        recipe = make_recipe(**widgets)
        show(describe(recipe))
        return io.NodeOutput(recipe)


def make_recipe(preset: str = "causvid", **widgets: Any) -> Recipe:
    """The preset with the values that the widgets change. ValueError says what does not fit."""
    if preset not in recipes:
        raise ValueError(f"There is no preset {preset!r}; choose one of {', '.join(recipes)}.")
    return replace(recipes[preset], **changed_values(**widgets))


def changed_values(
    timesteps: str = "",
    warp: str = PRESET,
    shift: float = 0.0,
    frames_per_block: int = 0,
    first_block_frames: int = -1,
    window: int = -1,
    sink: int = -1,
    positions: str = PRESET,
    context_timestep: int = -1,
) -> dict[str, Any]:
    """The recipe's fields that the widgets change; the others stay the preset's."""
    changes: dict[str, Any] = {}
    if timesteps.strip():
        # A preset with other steps for its first block would otherwise keep them.
        changes |= {"timesteps": _numbers(timesteps), "first_block_timesteps": None}
    if warp != PRESET:
        changes["warp"] = warp == "yes"
    if shift > 0:
        changes["shift"] = shift
    if frames_per_block > 0:
        changes["frames_per_block"] = frames_per_block
    if first_block_frames >= 0:
        changes["first_block_frames"] = first_block_frames or None
    if window >= 0:
        changes["window"] = window or None
    if sink >= 0:
        changes["sink"] = sink
    if positions != PRESET:
        changes["positions"] = positions
    if context_timestep >= 0:
        changes["context_timestep"] = context_timestep
    return changes


def describe(recipe: Recipe) -> str:
    """One line that says what a recipe does."""
    steps = ", ".join(f"{value:g}" for value in recipe.schedule(1).timesteps)
    window = f"window {recipe.window}, sink {recipe.sink}" if recipe.window else "sees everything"
    return (
        f"{len(recipe.timesteps)} steps ({steps}), latent frames per block: "
        f"{recipe.frames_per_block}, {window}"
    )


def _numbers(text: str) -> tuple[float, ...]:
    parts = [part for part in text.replace(",", " ").split() if part]
    try:
        values = tuple(float(part) for part in parts)
    except ValueError:
        raise ValueError(
            f"timesteps are {text!r}; write falling numbers between commas, such as "
            "1000, 757, 522, or leave the field empty for the preset's."
        ) from None
    return values[:-1] if values and values[-1] == 0 else values


def _changes() -> list[io.Input]:
    """The widgets of `changed_values`, in its order; each starts at "from preset"."""
    return [
        io.String.Input(
            "timesteps",
            default="",
            placeholder="from preset",
            tooltip=(
                "Denoising steps, falling from 1000, between commas: 1000, 757, 522. A 0 at the end "
                "is left out. Empty: from the preset."
            ),
        ),
        io.Combo.Input(
            "warp",
            options=[PRESET, "yes", "no"],
            default=PRESET,
            tooltip=(
                "Whether the timesteps are places in the shifted table (Self-Forcing's lists) "
                "rather than timesteps themselves."
            ),
        ),
        io.Float.Input(
            "shift",
            default=0.0,
            min=0.0,
            max=100.0,
            step=0.1,
            tooltip=(
                "Wan's timestep shift: 8 for CausVid, 5 for Self-Forcing and its relatives. A wrong "
                "one washes out or burns the picture. 0: from the preset."
            ),
        ),
        io.Int.Input(
            "frames_per_block",
            default=0,
            min=0,
            max=64,
            tooltip=(
                "Latent frames made together, as the checkpoint was trained: 3 or 1. 0: from the "
                "preset."
            ),
        ),
        io.Int.Input(
            "first_block_frames",
            default=-1,
            min=-1,
            max=64,
            tooltip=(
                "Latent frames of the first block, where it differs. 0: as the others. -1: from the "
                "preset."
            ),
        ),
        io.Int.Input(
            "window",
            default=-1,
            min=-1,
            max=100000,
            tooltip=(
                "Latent frames that a block may look at, itself and the sink included. Bounds memory "
                "and time per block for long videos. 0: everything. -1: from the preset."
            ),
        ),
        io.Int.Input(
            "sink",
            default=-1,
            min=-1,
            max=1000,
            tooltip=(
                "First latent frames that stay in the window when others leave; they hold the look "
                "of a long video. -1: from the preset."
            ),
        ),
        io.Combo.Input(
            "positions",
            options=[PRESET, *POSITIONS],
            default=PRESET,
            tooltip=(
                "absolute counts from the start of the video, as the checkpoints were trained; "
                "relative counts within the window and never ends."
            ),
        ),
        io.Int.Input(
            "context_timestep",
            default=-1,
            min=-1,
            max=1000,
            tooltip=(
                "Timestep at which finished frames are remembered; 0 in every published checkpoint. "
                "-1: from the preset."
            ),
        ),
    ]
