"""Blocks on their way to frames, and what the next blocks will be, on small random models."""

import pytest
import torch

import causvid_core as cv
from causvid_core.media.film import Film
from causvid_core.media.vae import WanVAE
from causvid_core.media.wan_stream import WanDecoder
from causvid_core.stream.lengths import px_ahead, steps_ahead, switches_ahead

SIZE = {"height": 2, "width": 2}
RECIPE = cv.Recipe(
    timesteps=(1000, 500),
    first_block_timesteps=(1000, 700, 300),
    shift=5.0,
    window=9,
    positions="relative",
)


class Scenes:
    """A prompt plan with a cut before block 2 and a recache before block 4."""

    contexts = torch.randn(3, 1, 5, 12, generator=torch.Generator().manual_seed(0))
    modes = {2: "cut", 4: "recache"}

    def at(self, block):
        return self.contexts[(block >= 2) + (block >= 4)]

    def switch(self, block):
        return self.modes.get(block, "carry")


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    config = cv.WanConfig(
        dim=24, ffn_dim=32, freq_dim=16, text_dim=12, text_len=16, num_heads=2, num_layers=2
    )
    wan = cv.CausalWan(config)
    for parameter in wan.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    return wan


@pytest.fixture(scope="module")
def vae():
    torch.manual_seed(1)
    return WanVAE.from_state_dict(WanVAE(8).state_dict())


def levels(vae, latents):
    """Px frames [T, H, W, 3] of a clip decoded at once, as bytes."""
    return (vae.decode(latents)[0].permute(1, 2, 3, 0) * 255).round().byte()


def filmed(vae, model, state, blocks, first):
    """The frames that a film of the next blocks gives, and the stream with its memory."""
    given = []
    with Film(WanDecoder(vae), "cpu", given.append) as film:
        film.begin(state, first)
        for block in cv.rollout(model, state, Scenes(), blocks):
            film.add(block)
    frames = torch.cat(given)
    assert film.px_frames == len(frames)
    return frames, block.state._replace(decoder=film.memory())


def test_a_film_is_each_scene_decoded_at_once(model, vae):
    begun = cv.start(RECIPE, model, **SIZE, seed=3)
    frames, state = filmed(vae, model, begun, 5, 0)
    scenes = state.latents.split([6, 9], dim=2)
    wanted = torch.cat([levels(vae, scene) for scene in scenes])
    assert (frames.int() - wanted.int()).abs().max() <= 1
    assert len(frames) == state.px_frames == 21 + 33


@pytest.mark.parametrize("cut_after", [1, 2, 3, 4])
def test_films_of_pieces_join(model, vae, cut_after):
    begun = cv.start(RECIPE, model, **SIZE, seed=3)
    whole, _ = filmed(vae, model, begun, 5, 0)
    first, state = filmed(vae, model, begun, cut_after, 0)
    second, finished = filmed(vae, model, state, 5 - cut_after, state.blocks)
    assert torch.equal(torch.cat([first, second]), whole)
    assert finished.decoder.blocks == 5
    # What a node or a file dropped is decoded again.
    again, _ = filmed(vae, model, state._replace(decoder=None), 5 - cut_after, state.blocks)
    assert torch.equal(again, second)


def test_a_film_begins_anywhere_in_what_there_is(model, vae):
    begun = cv.start(RECIPE, model, **SIZE, seed=3)
    whole, _ = filmed(vae, model, begun, 5, 0)
    *_, block = cv.rollout(model, begun, Scenes(), 4)
    later, _ = filmed(vae, model, block.state, 1, 1)
    assert torch.equal(later, whole[9:])


def test_an_error_in_the_middle_loses_no_finished_block(model, vae):
    given = []

    def give(frames):
        given.append(frames)

    begun = cv.start(RECIPE, model, **SIZE, seed=3)
    with pytest.raises(InterruptedError), Film(WanDecoder(vae), "cpu", give) as film:
        film.begin(begun, 0)
        for block in cv.rollout(model, begun, Scenes(), 5):
            film.add(block)
            if block.index == 1:
                raise InterruptedError
    assert len(torch.cat(given)) == 21


def test_deep_frames_have_sixteen_bits(model, vae):
    given = []
    begun = cv.start(RECIPE, model, **SIZE, seed=3)
    with Film(WanDecoder(vae), "cpu", given.append, deep=True) as film:
        film.begin(begun, 0)
        for block in cv.rollout(model, begun, Scenes(), 1):
            film.add(block)
    wanted = vae.decode(block.latents)[0].permute(1, 2, 3, 0)
    assert torch.cat(given).dtype == torch.int32
    assert (torch.cat(given) / 65535 - wanted).abs().max() < 1e-4


def test_what_is_ahead_is_what_comes(model):
    begun = cv.start(RECIPE, model, **SIZE, seed=3)
    for made in range(5):
        *_, state = [begun, *(b.state for b in cv.rollout(model, begun, Scenes(), made or 1))]
        state = state if made else begun
        steps, switches = {}, []

        def count(record, steps=steps):
            steps[record.block] = record.step + 1

        for block in cv.rollout(model, state, Scenes(), 6 - made, on_step=count):
            switches.append(block.switch)
        ahead = switches_ahead(cv.bind(model), state, Scenes(), "carry", 6 - made)
        assert ahead == switches
        assert steps_ahead(state, ahead) == list(steps.values())
        assert px_ahead(state, ahead) == block.state.px_frames - state.px_frames


def test_a_new_prompt_is_ahead_once(model):
    begun = cv.start(RECIPE, model, **SIZE)
    *_, block = cv.rollout(model, begun, Scenes.contexts[0], 2)
    for context, expected in ((0, "carry"), (1, "flush")):
        ahead = switches_ahead(cv.bind(model), block.state, Scenes.contexts[context], "flush", 3)
        assert ahead == [expected, "carry", "carry"]
