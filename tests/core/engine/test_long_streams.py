"""Late blocks of a long stream against the same window, recomputed at the start of a stream.

Latent frames 132, 201 and 1024 are where published systems were seen to collapse or to end.
"""

import pytest
import torch

import causvid_core as cv
from causvid_core.stream.noise import seeded_noise

from .recompute import Kept, SlowStream

LATENT_FRAMES, PER_BLOCK, WINDOW, LAYERS = 1101, 3, 9, 2
LATE = [132, 201, 1024, LATENT_FRAMES - 1]
DEPTH = LAYERS * WINDOW // PER_BLOCK + 1  # blocks that a block depends on: a window a layer
SIZE = {"height": 2, "width": 2}  # one token


def long_stream(wan, context, **options):
    model = wan(num_layers=LAYERS)
    for layer in model.blocks:  # keen attention: positions weigh
        torch.nn.init.constant_(layer.self_attn.norm_q.weight, 2)
        torch.nn.init.constant_(layer.self_attn.norm_k.weight, 2)
    recipe = cv.Recipe(timesteps=(1000,), window=WINDOW, **options)
    state = cv.start(recipe, model, **SIZE, seed=3)
    made = list(cv.rollout(model, state, context, LATENT_FRAMES // PER_BLOCK))
    return model, recipe, [block.latents for block in made]


def recomputed(model, recipe, context, made, block, first_position):
    """A block from its noise and the finished blocks that it depends on, in a stream of its own.

    Those blocks sit at positions from `first_position` on, behind the sinks' block at 0.
    """
    drawn = seeded_noise(3)
    slow = SlowStream(lambda index, step, shape: drawn(block, step, shape), **SIZE)
    sinks = [Kept(made[0], context, list(range(PER_BLOCK)))] if recipe.sink else []
    slow.segment = sinks + [
        Kept(latents, context, list(range(position, position + PER_BLOCK)))
        for latents, position in zip(
            made[block - DEPTH : block],
            range(first_position, first_position + DEPTH * PER_BLOCK, PER_BLOCK),
            strict=True,
        )
    ]
    return slow.block(model, recipe, context)


def check(found, expected):
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-4 * expected.std()


@pytest.mark.parametrize("sink", [0, 3])
def test_late_blocks_are_what_their_window_gives_at_the_start(wan, context, sink):
    model, recipe, made = long_stream(wan, context, sink=sink, positions="relative")
    assert torch.cat(made, dim=2).shape[2] == LATENT_FRAMES
    for frame in LATE:
        block = frame // PER_BLOCK
        check(made[block], recomputed(model, recipe, context, made, block, sink))


def test_absolute_positions_end_at_no_table_either(wan, context):
    """With a sink they depend on how far it is; without one, on nothing but the window."""
    for sink in (0, 3):
        model, recipe, made = long_stream(wan, context, sink=sink)
        for frame in LATE:
            block = frame // PER_BLOCK
            first = (block - DEPTH) * PER_BLOCK
            check(made[block], recomputed(model, recipe, context, made, block, first))
            near = recomputed(model, recipe, context, made, block, sink)
            if sink:
                assert (made[block] - near).abs().max() > 1e-2 * near.std()
            else:
                check(made[block], near)
