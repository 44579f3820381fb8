"""What every node that makes a stream does: start or go on, count, roll out, tell, hand over."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from comfy.model_patcher import ModelPatcher
from comfy_api.latest import io
from torch import Tensor

from ....causvid_core import BoundWan, Recipe, start
from ....causvid_core.storage.disk import DiskStore
from ....causvid_core.stream import geometry
from ....causvid_core.stream.lengths import blocks_for, switches_ahead
from ....causvid_core.stream.prompt_cache import PromptPlan
from ....causvid_core.stream.rollout import Block
from ....causvid_core.stream.state import StreamState
from ..live.view import LiveView
from ..loading.sampling import NOTHING, Beside, bind_model
from ..notice import show
from .checkpointing import Checkpoint, checkpoint, rest_of
from .inputs import StreamOptions
from .prompting import prompt_batch, stream_prompts
from .rendering import Rendering, continue_stream, to_latent
from .streams import continuable, default_recipe, told


@dataclass(frozen=True)
class OpenStream:
    """A stream that a node is about to lengthen; `dataclasses.replace` puts a primed state in.

    context: the prompt `[B or 1, l, text_dim]`, or a plan of prompts.
    """

    model: ModelPatcher
    bound: BoundWan
    state: StreamState
    context: Tensor | PromptPlan
    options: StreamOptions


def open_stream(
    model: ModelPatcher,
    *,
    width: int,
    height: int,
    seed: int,
    positive: list | None = None,
    prompts: Any = None,
    recipe: Recipe | None = None,
    stream: StreamState | None = None,
    options: StreamOptions | None = None,
) -> OpenStream:
    """A new stream of `width` x `height` px, or the connected one, which is never changed.

    Raises ValueError, in the artist's words, for a model, prompt or size that does not fit.
    """
    options = options or StreamOptions()
    bound = bind_model(model)
    size = (geometry.latent_size_from_px(height), geometry.latent_size_from_px(width))
    if stream is None:
        recipe = recipe or default_recipe(model)
    context = stream_prompts(
        positive, prompts, recipe or stream.recipe, bound.config.text_dim, stream
    )
    batch = prompt_batch(context)
    if stream is None:
        state = start(recipe, bound, height=size[0], width=size[1], batch=batch, seed=seed)
    else:
        state = continuable(stream, bound, recipe, size, batch, options.allow_changes)
    return OpenStream(model, bound, state, context, options)


Listening = Callable[[StreamState, LiveView], AbstractContextManager[Callable[[Block], object]]]
"""listening(state, view): what a node does beside the rollout that goes on from `state`. Entered
when the weights are in place; what it gives is told every block."""


def lengthen(opened: OpenStream, **longer: Any) -> io.NodeOutput:
    """The stream, made longer as `make_longer` takes it: STREAM and LATENT."""
    state = make_longer(opened, **longer)
    return io.NodeOutput(state, to_latent(opened.model, state))


def make_longer(
    opened: OpenStream,
    *,
    seconds: float = 0.0,
    px_frames: int = 0,
    source: Tensor | Iterable[Tensor] | None = None,
    strength: float | Callable[[int], float] = 1.0,
    source_id: str | None = None,
    beside: Beside = NOTHING,
    note: str = "",
    store: DiskStore | None = None,
    listening: Listening | None = None,
) -> StreamState:
    """The stream, rolled out by `px_frames` px frames, or by `seconds` where that is 0.

    Rounded up to whole blocks, with a notice. source, strength: see `rollout`; the stream ends
    where its source ends. source_id: names the contents of a source, and its strength, that are
    no plain values, so that checkpoints find them again. beside: models that the source or
    `listening` needs. note: what else the notice says. store: where latents go. listening: takes
    the blocks; the node then shows their frames itself.
    """
    state, options = opened.state, opened.options
    px_frames = px_frames or geometry.px_frames_from_seconds(seconds)
    blocks = blocks_for(state, px_frames)
    switches = switches_ahead(opened.bound, state, opened.context, options.switch, blocks)
    text = told(state, px_frames, switches)
    text = f"{note}. {text}" if note else text
    show(text)
    rendering = Rendering(opened.context, blocks, source, strength, options.switch, beside, store)
    mark = checkpoint(opened.bound, state, rendering, options.checkpoint_blocks, source_id)
    begun = state
    if mark is not None:
        state = mark.resume(store)
        rendering = rest_of(rendering, begun, state)
    with LiveView(opened.model, state, rendering.blocks, decoded=listening is not None) as view:
        heard = (listening or _nothing)(state, view)
        state, carried = continue_stream(
            opened.model, opened.bound, state, rendering, options.keeping, _and(heard, mark), view
        )
    if mark is not None:
        mark.remove()
    show(f"{text}. {carried}")
    return state


@contextmanager
def _and(
    heard: AbstractContextManager[Callable[[Block], object]], mark: Checkpoint | None
) -> Iterator[Callable[[Block], object]]:
    """What `heard` does, then the checkpoint."""
    with heard as on_block:

        def both(block: Block) -> None:
            on_block(block)
            if mark is not None:
                mark(block)

        yield both


def _nothing(
    state: StreamState, view: LiveView
) -> AbstractContextManager[Callable[[Block], object]]:
    """A node that does nothing beside."""
    return nullcontext(lambda block: None)
