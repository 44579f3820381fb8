"""One rollout of the core inside the host: memory, progress and tidying up around it."""

from collections import deque
from collections.abc import Callable, Iterable
from contextlib import closing

import comfy.model_management
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...causvid_core import BoundWan, rollout, stream_memory_bytes
from ...causvid_core.stream.plan import Plan
from ...causvid_core.stream.prompts import PromptPlan
from ...causvid_core.stream.state import StreamState
from .progress import RolloutProgress
from .sampling import placed

EXACT_BUDGET = 1024**3  # bytes of keys and values that may travel with a stream in CPU memory


def continue_stream(
    model: ModelPatcher,
    bound: BoundWan,
    state: StreamState,
    context: Tensor | PromptPlan,
    blocks: int,
    source: Tensor | Iterable[Tensor] | None = None,
    strength: float | Callable[[int], float] = 1.0,
) -> StreamState:
    """The stream `blocks` blocks later, with nothing left on the device.

    `bound` is `model` bound by `bind_model`; context, source and strength: see `rollout`. On
    every way out, Cancel included, the ring is given back and `state` stays valid.
    """
    first = state.blocks
    steps = [len(state.recipe.schedule(first + n).timesteps) for n in range(blocks)]
    progress = RolloutProgress(model.model.latent_format, first, steps)
    needed = stream_memory_bytes(
        state.recipe, bound.config, state.height, state.width, state.batch, bound.dtype,
        latent_frames=Plan.of(state.recipe).frames_before(first + blocks),
    )  # fmt: skip
    with placed(model, needed):
        made = rollout(bound, state, context, blocks, source, strength, on_step=progress)
        with closing(made) as run:
            last = deque(run, maxlen=1)
        if not last:
            raise ValueError("The input video has no frames left for this stream to take in.")
        finished = last[0].state
        try:
            return finished.within(EXACT_BUDGET)
        finally:
            finished.release()


def to_latent(model: ModelPatcher, state: StreamState) -> dict[str, Tensor]:
    """All of the stream as a LATENT `[B, 16, T, H, W]`, in the scale of the host's VAE."""
    samples = model.model.process_latent_out(state.latents)
    return {"samples": samples.to(comfy.model_management.intermediate_device())}
