"""Recipe: how a checkpoint is sampled, as a preset with any of its values changed."""

from typing import Any

from comfy_api.latest import io

from ..causvid_core.stream import describe_recipe
from .host.loading.recipes import make_recipe, recipe_inputs
from .host.notice import show
from .host.schema import CausVidRecipe, advanced, schema, verdict


class RecipeNode(io.ComfyNode):
    @classmethod
    def define_schema(cls) -> io.Schema:
        preset, *changes = recipe_inputs()
        return schema(
            node_id="CausVid_Recipe",
            outputs=[CausVidRecipe.Output("recipe")],
            inputs=[preset, *map(advanced, changes)],
        )

    @classmethod
    def validate_inputs(cls, **widgets: Any) -> bool | str:
        """Check the values that are not linked, before anything is queued."""
        known = {name: value for name, value in widgets.items() if value is not None}
        return verdict(make_recipe, **known)

    @classmethod
    def execute(cls, **widgets: Any) -> io.NodeOutput:
        recipe = make_recipe(**widgets)
        show(describe_recipe(recipe))
        return io.NodeOutput(recipe)
