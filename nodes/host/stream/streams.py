"""What nodes that start or continue a stream have in common."""

from collections.abc import Sequence

from comfy.model_patcher import ModelPatcher

from ....causvid_core import BoundWan, Recipe, recipes
from ....causvid_core.stream import geometry, rebase
from ....causvid_core.stream.lengths import latent_frames_for, px_ahead
from ....causvid_core.stream.segment import starts_afresh
from ....causvid_core.stream.state import StreamState
from ....causvid_core.stream.window import WindowPolicy
from ..loading.models import recipe_name
from ..notice import show

DEFAULT_RECIPE = "causvid"


def default_recipe(model: ModelPatcher) -> Recipe:
    """The recipe noted on a MODEL by its loader, or CausVid's with a word about it."""
    name = recipe_name(model)
    if name is None:
        name = DEFAULT_RECIPE
        show(f"This MODEL does not say how it is sampled: using {name}. Connect a CausVid Recipe.")
    return recipes[name]


def continuable(
    stream: StreamState,
    bound: BoundWan,
    recipe: Recipe | None,
    size: tuple[int, int],
    batch: int,
    allow_changes: bool = False,
) -> StreamState:
    """The stream, if it can go on with this model, recipe, latent size and number of prompts.

    allow_changes: another model or recipe takes it over, and rewrites what it remembers. Raises
    ValueError saying what differs.
    """
    if size != (stream.height, stream.width):
        scale = geometry.SPACE_SCALE
        raise ValueError(
            f"The stream is {stream.width * scale}x{stream.height * scale} px, but width and "
            f"height say {size[1] * scale}x{size[0] * scale}; set them to the stream's."
        )
    if batch not in (1, stream.batch):
        raise ValueError(
            f"The conditioning holds {batch} prompts, but the stream {stream.batch} videos; give "
            f"one prompt, or {stream.batch}."
        )
    other_recipe = recipe is not None and recipe != stream.recipe
    other_model = stream.model != bound.fingerprint()
    if not (other_recipe or other_model):
        return stream
    if allow_changes:
        changed = " and ".join(["MODEL"] * other_model + ["recipe"] * other_recipe)
        rebased = rebase(stream, bound, recipe)
        rewritten = "; what it remembers is rewritten" if rebased.switch != stream.switch else ""
        show(f"The stream goes on with another {changed}{rewritten}")
        return rebased
    if other_recipe:
        raise ValueError(
            "The stream was started with another recipe than the one connected; disconnect the "
            "recipe, and the stream's own is used, or turn on allow_changes to go on with this "
            "one."
        )
    raise ValueError(
        "The stream was made with another MODEL (or other LoRA strengths, or another weight "
        "dtype); connect the MODEL that started it, or turn on allow_changes to go on with this "
        "one."
    )


def told(state: StreamState, px_frames: int, switches: Sequence[str]) -> str:
    """What the blocks come to that follow these switches and were counted for `px_frames`."""
    made, blocks = px_ahead(state, switches), len(switches)
    counted = "1 block" if blocks == 1 else f"{blocks} blocks"
    text = f"{made} frames ({geometry.seconds_from_px(made):.1f} s) in {counted}"
    policy = WindowPolicy.of(state.recipe)
    added = policy.frames_before(state.blocks + blocks) - state.frames
    if added > latent_frames_for(state, px_frames):
        per_block = policy.frames_per_block
        text += f", rounded up from {px_frames} to whole blocks of {per_block} latent frames"
    if cuts := sum(map(starts_afresh, switches[not state.blocks :])):
        counted = "a cut takes" if cuts == 1 else f"{cuts} cuts take"
        text += f"; {counted} {cuts * (geometry.TIME_SCALE - 1)} frames away"
    if state.blocks:
        px = state.px_frames + made
        text += f"; the stream is then {px} frames ({geometry.seconds_from_px(px):.1f} s) long"
    return text
