"""All blocks in one pass see what the cache would hold for them: under every window, two ways."""

import itertools
from dataclasses import replace

import pytest
import torch

import causvid_core as cv
from causvid_core.distill.network import recomputed
from causvid_core.model.forward import denoise
from causvid_core.model.pieces import block_causal, teacher_forced
from causvid_core.model.prompt import encode_prompt
from causvid_core.model.rope import Rotary
from causvid_core.stream.cache import LiveCache, claim
from causvid_core.stream.segment import Segment
from causvid_core.stream.window import WindowPolicy

FRAMES, SIZE = 12, {"height": 4, "width": 6}
WINDOWS = {
    "everything": {},
    "window": {"window": 6},
    "sink": {"window": 7, "sink": 2},
    "first block": {"window": 5, "frames_per_block": 2, "first_block_frames": 4},
}


@pytest.fixture(params=sorted(WINDOWS))
def layout(request):
    return WINDOWS[request.param]


@pytest.fixture
def batch():
    """Two clips, each with timesteps and a prompt of its own."""
    generator = torch.Generator().manual_seed(3)
    shape = (2, 16, FRAMES, *SIZE.values())
    noisy, clean = (torch.randn(shape, generator=generator) for _ in range(2))
    timesteps = torch.rand(2, FRAMES, generator=generator) * 1000
    context = torch.randn(2, 9, 12, generator=generator)
    context[1, 4:] = 0
    return noisy, clean, timesteps, context


def one_pass(model, layout, noisy, timesteps, context, **options):
    return cv.forward_all(model, noisy, timesteps, context, **layout, **options)


def close(found, expected):
    return (found - expected).abs().max() < 1e-5 * expected.std()


def test_diffusion_forcing_is_a_cache_of_noisy_blocks(wan, batch, layout):
    """As CausVid trains: a block reads the keys and values of the noisy blocks before it."""
    model, (noisy, _, timesteps, context) = wan(num_layers=3), batch
    bound, recipe = cv.bind(model), cv.Recipe(shift=5.0, **layout)
    policy, grid = WindowPolicy.of(recipe), bound.config.grid(*SIZE.values())
    spans = [policy.span(block) for block in range(len(policy.split(0, FRAMES)))]
    rotary = Rotary(bound.config.head_dim, grid, bound.device)
    size = (2, grid[0] * grid[1], FRAMES)
    live = claim(bound, policy, "noisy", LiveCache(), None, (), size)
    with torch.no_grad():
        prompt = encode_prompt(bound, context)
        cached = [
            denoise(
                bound,
                noisy[:, :, span.first : span.end],
                timesteps[:, span.first : span.end],
                live.attention(bound.attention, rotary, Segment(policy), "absolute", block),
                prompt,
            )
            for block, span in enumerate(spans)
        ]
    whole = one_pass(model, layout, noisy, timesteps, context)
    assert close(whole, torch.cat(cached, dim=2))


def test_teacher_forcing_is_what_a_rollout_sees(wan, batch, layout):
    """A noisy block after clean ones: the engine's own rollout after the same given frames."""
    model, (noisy, clean, _, context) = wan(num_layers=3), batch
    recipe = cv.Recipe(timesteps=(600,), shift=5.0, **layout)
    sigma, policy = recipe.schedule(0).sigmas[0], WindowPolicy.of(recipe)
    blocks, made = len(policy.split(0, FRAMES)), []
    for block in range(blocks):
        span, state = policy.span(block), cv.start(recipe, model, **SIZE, batch=2)
        if block:
            state = cv.prime(model, state, context, clean[:, :, : span.first])
        own = noisy[:, :, span.first : span.end]
        (last,) = cv.rollout(model, state, context, 1, noise=lambda *_, own=own: own)
        made.append(last.latents)
    given = clean[:, :, : policy.span(blocks - 1).first]
    timesteps = torch.full((2, 1), recipe.timesteps[0])
    flow = one_pass(model, layout, noisy, timesteps, context, clean=given)
    assert close(noisy - sigma * flow, torch.cat(made, dim=2))


def test_clean_latents_that_do_not_fit_are_refused(wan, batch):
    noisy, clean, timesteps, context = batch
    with pytest.raises(ValueError, match="all blocks but the last"):
        one_pass(wan(), {}, noisy, timesteps, context, clean=clean)


@pytest.mark.parametrize("forced", [False, True])
def test_recomputed_layers_have_equal_gradients(wan, batch, forced):
    noisy, clean, timesteps, context = batch
    options = {"clean": clean[:, :, :9]} if forced else {}
    gradients = []
    for within in (None, recomputed):
        model = wan()
        bound = cv.bind(model) if within is None else replace(cv.bind(model), within=within)
        one_pass(bound, {}, noisy, timesteps, context, **options).square().mean().backward()
        gradients.append([p.grad for p in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*gradients, strict=True))


@torch.no_grad()
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("forced", [False, True])
def test_the_fused_mask_gives_the_same(wan, batch, layout, forced):
    model, (noisy, clean, timesteps, context) = wan(), batch
    last = 2 if "first_block_frames" in layout else 3
    options = {"clean": clean[:, :, : FRAMES - last]} if forced else {}
    calls = [
        one_pass(model, layout, noisy, timesteps, context, flex=flex, **options)
        for flex in (False, True)
    ]
    assert close(*calls)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_the_fused_mask_trains_alike_on_a_gpu(wan, batch, layout):
    noisy, _, timesteps, context = (tensor.cuda() for tensor in batch)
    gradients = []
    for flex in (False, True):
        model = wan(dim=128, num_heads=2).cuda()
        flow = one_pass(model, layout, noisy, timesteps, context, flex=flex)
        flow.square().mean().backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters()]))
    assert (gradients[0] - gradients[1]).norm() < 1e-3 * gradients[0].norm()


def test_pieces_see_what_the_plan_of_a_recipe_shows():
    for first, window, sink in itertools.product((1, 3, 4), (None, 4, 5, 6, 9), (0, 1, 2)):
        if window is not None and window < max(first, 3) + sink:
            continue
        recipe = cv.Recipe(first_block_frames=first, window=window, sink=sink)
        policy, blocks = WindowPolicy.of(recipe), [first, 3, 3, 3, 3]
        clean, noisy = sum(blocks[:-1]), teacher_forced(blocks, window, sink)[-len(blocks) :]
        for index, piece in enumerate(block_causal(blocks, window, sink)):
            span = policy.span(index)
            visible = list(policy.visible(span.end))
            assert [frame for run in piece.keys for frame in run] == visible
            forced = [frame for run in noisy[index].keys for frame in run]
            assert forced == [f if f < span.first else f + clean for f in visible]
