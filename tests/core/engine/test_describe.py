"""What a stream holds, in words and as a sheet."""

import pytest
import torch
from PIL import Image

import causvid_core as cv
from causvid_core.media.sheet import evenly, picture_sheet
from causvid_core.stream import snapshot, snapshot_within
from causvid_core.stream.description import PromptRun, describe, describe_recipe, prompt_runs

from .streams import SIZE


def made_of(wan, contexts, switches=None, **recipe):
    """A stream whose blocks have these contexts and switch modes."""
    model = wan()
    recipe = cv.Recipe(timesteps=(1000,), **recipe)
    blocks = list(
        cv.rollout(model, cv.start(recipe, model, **SIZE, seed=3), contexts[0], len(contexts))
    )
    state = blocks[-1].state
    switches = switches or ["carry"] * len(contexts)
    history = tuple(
        block._replace(context=context, switch=switch)
        for block, context, switch in zip(state.history, contexts, switches, strict=True)
    )
    return state._replace(history=history)


def test_blocks_are_told_by_prompt_and_switch(wan):
    a, b = torch.zeros(1, 5, 12), torch.ones(1, 3, 12)
    state = made_of(
        wan, [a, a.clone(), b, b, a, a], ["carry", "carry", "cut", "carry", "carry", "flush"]
    )
    assert list(prompt_runs(state)) == [
        PromptRun(0, 1, 1, 5, "carry"),
        PromptRun(2, 3, 2, 3, "cut"),
        PromptRun(4, 4, 1, 5, "carry"),
        PromptRun(5, 5, 1, 5, "flush"),
    ]
    lines = describe(state).splitlines()
    assert "Blocks 0-1 (0.00 to 1.31 s): prompt 1 of 5 tokens" in lines
    assert "Blocks 2-3 (1.31 to 2.62 s): prompt 2 of 3 tokens, cut" in lines
    assert "Block 4 (2.62 to 3.38 s): prompt 1 of 5 tokens, carry" in lines


def test_many_prompts_are_told_in_part(wan):
    state = made_of(wan, [torch.zeros(1, 1, 12)])
    block = state.history[0]
    history = tuple(block._replace(context=block.context + n) for n in range(60))
    lines = describe(state._replace(history=history)).splitlines()
    assert "... 20 more ..." in lines and len(lines) < 50


def test_the_cache_is_told(wan, context):
    state = made_of(wan, [context, context])
    exact, small = snapshot(state), snapshot_within(state, 10**9, int8=True)
    assert f"travel along, {exact.snapshot.nbytes / 1e6:.2f} MB, exact" in describe(exact)
    assert "in 8 bits, nearly exact" in describe(small)
    assert "still on the device" in describe(state)
    assert "do not travel" in describe(state.light())


def test_a_stream_without_blocks(wan, windowed):
    text = describe(cv.start(windowed, wan(), **SIZE, seed=3))
    assert text.startswith("48x32 px, no frames yet, seed 3")


@pytest.mark.parametrize(
    ("recipe", "part"),
    [
        (cv.recipes["longlive"], "longlive, 4 steps (1000, 750, 500, 250 warped) with shift 5, "),
        (cv.recipes["longlive"], "sees 12 latent frames, the first 3 always among them, relative"),
        (cv.recipes["causvid"], "every block sees all before it, absolute positions"),
        (cv.recipes["causal-forcing++-1step"], "1 steps (1000 warped)"),
        (cv.recipes["causal-forcing++-1step"], "4 steps for the first block"),
        (cv.Recipe(first_block_frames=1), "3 latent frames a block (1 in the first)"),
    ],
)
def test_recipes_in_words(recipe, part):
    assert part in describe_recipe(recipe)


def test_a_sheet_has_a_cell_and_a_label_for_every_picture():
    colours = [(40 * n, 0, 0) for n in range(1, 6)]
    images = [Image.new("RGB", (16, 8), colour) for colour in colours]
    sheet = picture_sheet(images, [f"block {n}" for n in range(5)], columns=3, cell_px=80, gap_px=4)
    assert sheet.size == (3 * 84 + 4, 2 * (40 + 22 + 4) + 4)
    centres = [sheet.getpixel((4 + n % 3 * 84 + 40, 4 + n // 3 * 66 + 20)) for n in range(5)]
    assert centres == colours
    label = sheet.crop((4, 44, 84, 66))
    assert len(label.getcolors()) > 2
    with pytest.raises(ValueError, match="make no sheet"):
        picture_sheet(images, [])


def test_even_choices_have_both_ends():
    assert evenly(4, 9) == [0, 1, 2, 3] and evenly(100, 1) == [0]
    chosen = evenly(1000, 7)
    assert chosen[0] == 0 and chosen[-1] == 999 and len(set(chosen)) == 7
