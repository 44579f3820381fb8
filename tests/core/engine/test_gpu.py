"""On a GPU: nothing in the block loop waits for the device, and states go on to the bit."""

import pytest
import torch

import causvid_core as cv
from causvid_core.stream import snapshot

from .streams import no_waits

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


@pytest.fixture(params=["absolute", "relative"])
def recipe(request):
    return cv.Recipe(timesteps=(1000, 600), shift=5.0, window=9, sink=3, positions=request.param)


def test_the_block_loop_never_waits(wan, context, recipe):
    model = wan(dtype=torch.bfloat16).cuda()
    rollout = cv.rollout(model, cv.start(recipe, model, height=8, width=8), context, 6)
    next(rollout)
    with no_waits():
        for _ in rollout:
            pass


def test_states_go_on_to_the_bit(wan, context, recipe):
    model = wan().cuda()
    start = cv.start(recipe, model, height=8, width=8)
    blocks = list(cv.rollout(model, start, context, 8))
    whole = torch.cat([block.latents for block in blocks], dim=2)
    for hand_over in (lambda s: s, lambda s: s.light(), lambda s: snapshot(s, model)):
        tail = cv.rollout(model, hand_over(blocks[4].state), context, 3)
        assert torch.equal(torch.cat([b.latents for b in tail], dim=2), whole[:, :, 15:])
    assert torch.equal(blocks[-1].state.latents, whole.cpu())
