"""One rollout of the core inside the host: memory, progress and tidying up around it."""

from collections import deque
from contextlib import closing

import comfy.model_management
from comfy.model_patcher import ModelPatcher
from torch import Tensor

from ...causvid_core import BoundWan, rollout, stream_memory_bytes
from ...causvid_core.stream.plan import Plan
from ...causvid_core.stream.state import StreamState
from .progress import RolloutProgress
from .sampling import placed

EXACT_BUDGET = 1024**3  # bytes of keys and values that may travel with a stream in CPU memory


def continue_stream(
    model: ModelPatcher, bound: BoundWan, state: StreamState, context: Tensor, blocks: int
) -> StreamState:
    """The stream `blocks` blocks later, with nothing left on the device.

    `bound` is `model` bound by `bind_model`, context `[B or 1, l, text_dim]`. On every way out,
    Cancel included, the ring is given back and `state` stays valid.
    """
    first = state.blocks
    steps = [len(state.recipe.schedule(first + n).timesteps) for n in range(blocks)]
    progress = RolloutProgress(model.model.latent_format, first, steps)
    needed = stream_memory_bytes(
        state.recipe, bound.config, state.height, state.width, state.batch, bound.dtype,
        latent_frames=Plan.of(state.recipe).frames_before(first + blocks),
    )  # fmt: skip
    with placed(model, needed):
        with closing(rollout(bound, state, context, blocks, on_step=progress)) as run:
            (last,) = deque(run, maxlen=1)
        finished = last.state
        try:
            return finished.within(EXACT_BUDGET)
        finally:
            finished.release()


def to_latent(model: ModelPatcher, state: StreamState) -> dict[str, Tensor]:
    """All of the stream as a LATENT `[B, 16, T, H, W]`, in the scale of the host's VAE."""
    samples = model.model.process_latent_out(state.latents)
    return {"samples": samples.to(comfy.model_management.intermediate_device())}
