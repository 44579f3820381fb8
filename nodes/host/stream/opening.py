"""How a stream starts or continues: its recipe, and whether it fits what is connected."""

from comfy.model_patcher import ModelPatcher

from ....causvid_core import BoundWan, Recipe, recipes
from ....causvid_core.stream import StreamState, rebase
from ....causvid_core.stream.geometry import SPACE_SCALE
from ..loading.models import recipe_name
from ..messages import joined, message
from ..notice import show

DEFAULT_RECIPE = "causvid"
CHANGED = {
    (True, False): "stream.new_model",
    (False, True): "stream.new_recipe",
    (True, True): "stream.new_model_and_recipe",
}
"""The notice about a stream that continues with another model, another recipe."""


def default_recipe(model: ModelPatcher) -> Recipe:
    """The recipe noted on a MODEL by its loader, or CausVid's with a notice about it."""
    name = recipe_name(model)
    if name is None:
        name = DEFAULT_RECIPE
        show(message("recipe.unknown", name=name))
    return recipes[name]


def continued(
    stream: StreamState,
    bound: BoundWan,
    recipe: Recipe | None,
    size: tuple[int, int],
    batch: int,
    allow_changes: bool = False,
) -> StreamState:
    """The stream, if it can continue with this model, recipe, latent size and number of prompts.

    allow_changes: another model or recipe takes it over, and recomputes its memory. Raises
    ValueError saying what differs.
    """
    if size != (stream.height, stream.width):
        own, asked = (
            f"{width * SPACE_SCALE}x{height * SPACE_SCALE}"
            for height, width in ((stream.height, stream.width), size)
        )
        raise ValueError(message("stream.other_size", own=own, asked=asked))
    if batch not in (1, stream.batch):
        raise ValueError(message("stream.other_batch", prompts=batch, videos=stream.batch))
    other_recipe = recipe is not None and recipe != stream.recipe
    other_model = stream.model != bound.fingerprint()
    if not (other_recipe or other_model):
        return stream
    if not allow_changes:
        raise ValueError(message("stream.other_recipe" if other_recipe else "stream.other_model"))
    rebased = rebase(stream, bound, recipe)
    recomputed = rebased.switch != stream.switch
    memory = message("stream.memory_recomputed") if recomputed else ""
    show(joined(message(CHANGED[other_model, other_recipe]), memory))
    return rebased
