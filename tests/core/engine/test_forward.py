"""One forward, any tree: padding, precision, training, refusals."""

import pytest
import torch
from torch import nn

import causvid_core as cv
from causvid_core.model.attention import torch_attention


def inputs(batch=2, frames=6, channels=16, seed=1):
    generator = torch.Generator().manual_seed(seed)
    noisy = torch.randn(batch, channels, frames, 4, 6, generator=generator)
    timesteps = torch.rand(batch, frames, generator=generator) * 1000
    return noisy, timesteps, torch.randn(batch, 9, 12, generator=generator)


def full_padding(q, k, v, bias=None):
    """An attention function that cannot take a bias: the prompt is padded in full."""
    assert bias is None
    return torch_attention(q, k, v)


full_padding.supports_bias = False


def test_one_padding_row_stands_for_all(wan):
    model = wan(num_layers=3)
    noisy, timesteps, context = inputs()
    context[1, 4:] = 0  # samples of different length share a batch
    shared = cv.forward_all(model, noisy, timesteps, context)
    padded = cv.forward_all(cv.bind(model, attention=full_padding), noisy, timesteps, context)
    assert (shared - padded).abs().max() < 1e-5 * padded.std()
    alone = cv.forward_all(model, noisy[1:], timesteps[1:], context[1:, :4])
    assert (shared[1:] - alone).abs().max() < 1e-5 * padded.std()
    given = cv.forward_all(model, noisy, timesteps, context, context_lengths=[9, 4])
    assert torch.equal(given, shared)
    other = cv.forward_all(model, noisy, timesteps, context, context_lengths=[9, 3])
    assert (other - shared).abs().max() > 1e-3 * padded.std()


@pytest.mark.parametrize("length", [0, 31, 32, 64])
def test_prompts_of_any_length(wan, length):
    model = wan()
    noisy, timesteps, _ = inputs()
    context = torch.randn(2, length, 12)
    shared = cv.forward_all(model, noisy, timesteps, context)
    padded = cv.forward_all(cv.bind(model, attention=full_padding), noisy, timesteps, context)
    assert (shared - padded).abs().max() < 1e-5 * padded.std()


def test_block_causal_equals_a_mask(wan):
    """Against every token's scores with a mask over them, written out."""
    noisy, timesteps, context = inputs(frames=8)
    block = torch.tensor([0, 1, 1, 1, 2, 2, 2, 3]).repeat_interleave(2 * 3)
    hidden = torch.where(block[:, None] >= block[None], 0.0, -torch.inf)

    def masked(q, k, v, bias=None):
        scores = torch.einsum("bnhd,bmhd->bhnm", q, k) / q.shape[-1] ** 0.5
        if q.shape[1] == k.shape[1] == len(block):
            scores = scores + hidden
        elif bias is not None:
            scores = scores + bias
        return torch.einsum("bhnm,bmhd->bnhd", scores.softmax(-1), v)

    model = wan()
    slow = cv.forward_all(cv.bind(model, attention=masked), noisy, timesteps, context, causal=False)
    fast = cv.forward_all(model, noisy, timesteps, context, first_block_frames=1)
    assert (slow - fast).abs().max() < 1e-5 * slow.std()


def test_frames_of_later_blocks_do_not_reach_earlier_ones(wan):
    model = wan()
    noisy, timesteps, context = inputs()
    before = cv.forward_all(model, noisy, timesteps, context)
    noisy[:, :, 3:] += 1
    after = cv.forward_all(model, noisy, timesteps, context)
    assert torch.equal(before[:, :, :3], after[:, :, :3])
    assert (before[:, :, 3:] - after[:, :, 3:]).abs().max() > 1e-2
    both = [cv.forward_all(model, noisy, timesteps, context, causal=c) for c in (True, False)]
    assert (both[0][:, :, :3] - both[1][:, :, :3]).abs().max() > 1e-3


def test_only_differences_of_positions_matter(wan):
    model = wan()
    noisy, timesteps, context = inputs()
    at_start = cv.forward_all(model, noisy, timesteps, context)
    far = cv.forward_all(model, noisy, timesteps, context, first_position=5000)
    assert (at_start - far).abs().max() < 1e-4 * at_start.std()
    assert not torch.equal(at_start, far)


def test_gradients_are_those_of_the_plain_computation(wan):
    """Nothing is overwritten that backward needs: compared with finite differences."""
    model = wan(num_layers=1).double()
    bound = cv.bind(model, dtype=torch.float64)
    noisy, timesteps, context = (tensor.double() for tensor in inputs(batch=1, frames=3))
    noisy.requires_grad_()
    out = cv.forward_all(bound, noisy, timesteps, context).square().mean()
    out.backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
    for parameter, index in (
        (model.blocks[0].modulation, (0, 1, 3)),
        (model.blocks[0].self_attn.q.weight, (2, 5)),
        (model.blocks[0].cross_attn.v.weight, (2, 5)),
        (model.head.modulation, (0, 1, 2)),
        (model.text_embedding[0].bias, (3,)),
    ):
        slopes = []
        with torch.no_grad():
            for step in (1e-3, -1e-3):
                parameter[index] += step
                slopes.append(cv.forward_all(bound, noisy, timesteps, context).square().mean())
                parameter[index] -= step
        slope = (slopes[0] - slopes[1]) / 2e-3
        assert parameter.grad[index].item() == pytest.approx(slope.item(), rel=2e-2, abs=1e-5)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_stays_near_single(wan, dtype):
    noisy, timesteps, context = inputs()
    single = cv.forward_all(wan(), noisy, timesteps, context)
    half = cv.forward_all(wan(dtype=dtype), noisy, timesteps, context)
    assert half.dtype == noisy.dtype
    assert (half - single).std() < (0.05 if dtype == torch.bfloat16 else 0.01) * single.std()


def test_the_norm_of_queries_does_not_overflow_in_float16(wan):
    model = wan(dtype=torch.float16)
    with torch.no_grad():
        model.blocks[0].self_attn.q.bias.fill_(400)  # squares beyond 65504
    noisy, timesteps, context = inputs()
    assert cv.forward_all(model, noisy, timesteps, context).isfinite().all()


def test_autocast_trains_in_bfloat16(wan):
    model = wan()
    noisy, timesteps, context = inputs()
    single = cv.forward_all(model, noisy, timesteps, context)
    with torch.autocast("cpu", torch.bfloat16):
        half = cv.forward_all(model, noisy, timesteps, context)
        with torch.no_grad():
            assert torch.equal(cv.forward_all(model, noisy, timesteps, context), half)
    half.square().mean().backward()
    assert model.blocks[0].self_attn.k.weight.grad.isfinite().all()
    assert 0 < (half - single).std() < 0.05 * single.std()


def test_a_foreign_tree_is_read_off_its_parameters(wan):
    """A tree that is no CausalWan, its parameters stored in another dtype than computed in."""
    model = wan(dim=256, num_heads=2, text_len=512)
    tree = nn.Module()
    for name, child in model.named_children():
        tree.add_module(name, child)
    bound = cv.bind(tree)
    assert bound.config == model.config
    noisy, timesteps, context = inputs()
    expected = cv.forward_all(model, noisy, timesteps, context)
    assert torch.equal(cv.forward_all(bound, noisy, timesteps, context), expected)
    for block in tree.blocks:
        block.modulation.data = block.modulation.data.to(torch.bfloat16).float()
    rounded = cv.forward_all(bound, noisy, timesteps, context)
    for block in tree.blocks:
        block.modulation.data = block.modulation.data.to(torch.bfloat16)
    assert torch.equal(cv.forward_all(bound, noisy, timesteps, context), rounded)


def test_hooks_and_patches_of_leaf_modules_take_part(wan):
    """A host changes leaf modules (LoRA, casts, offloading); each is called, not bypassed."""
    model = wan()
    called = set()
    for name, module in model.named_modules():
        if not list(module.children()) and list(module.parameters()):
            module.register_forward_hook(lambda *_, name=name: called.add(name))
    cv.forward_all(model, *inputs())
    leaves = {n.rsplit(".", 1)[0] for n, _ in model.named_parameters() if "modulation" not in n}
    assert called == leaves


def test_image_to_video_models(wan):
    model = wan(model_type="i2v", in_dim=36, image_dim=20)
    noisy, timesteps, context = inputs()
    plain = cv.forward_all(model, noisy, timesteps, context)
    zeros = torch.cat((noisy, torch.zeros(2, 20, 6, 4, 6)), dim=1)
    assert torch.equal(plain, cv.forward_all(model, zeros, timesteps, context))
    features = torch.randn(2, 7, 20)
    seen = cv.forward_all(model, noisy, timesteps, context, image_features=features)
    assert seen.shape == plain.shape and (seen - plain).abs().max() > 1e-3


def shapes(model):
    return {name: tuple(p.shape) for name, p in model.named_parameters()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vace_patch_embedding.weight": (8, 96, 1, 2, 2)}, "VACE"),
        ({"vace_blocks.0.norm3.weight": (8,)}, "VACE"),
        ({"control_adapter.conv.weight": (8, 8)}, "control"),
        ({"ref_conv.weight": (8, 8)}, "reference"),
        ({"casual_audio_encoder.weights": (8,)}, "speech"),
        ({"blocks.0.audio_cross_attn.q.weight": (8, 8)}, "speech"),
        ({"img_emb.emb_pos": (1, 8, 8)}, "first-and-last"),
        ({"double_blocks.0.img_attn.qkv.weight": (8, 8)}, "not a plain Wan"),
        ({"head.head.weight": (192, 256)}, "48 channels"),
        ({"patch_embedding.weight": (256, 48, 1, 2, 2)}, "48 input channels"),
        ({"patch_embedding.weight": (256, 16)}, "expected 5 axes"),
        ({"blocks.1.": None}, "blocks.1 is missing"),
        ({"text_embedding.0.weight": None}, "has no text_embedding.0.weight"),
        ({"patch_embedding.weight": (100, 16, 1, 2, 2)}, "not a multiple"),
    ],
)
def test_other_models_are_refused_by_name(wan, change, message):
    given = shapes(wan(dim=256, num_layers=3))
    for name, shape in change.items():
        given = {n: s for n, s in given.items() if not n.startswith(name)}
        given.update({} if shape is None else {name: shape})
    with pytest.raises(ValueError, match=message):
        cv.WanConfig.from_shapes(given)


def test_a_module_that_is_no_wan_is_refused():
    with pytest.raises(ValueError, match="not a plain Wan model"):
        cv.bind(nn.Linear(2, 2))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"noisy": torch.zeros(1, 16, 3, 5, 6)}, "cannot be cut"),
        ({"noisy": torch.zeros(1, 3, 3, 4, 6)}, "16, latent frames"),
        ({"context": torch.zeros(1, 9, 13)}, "text encoder"),
        ({"context": torch.zeros(1, 65, 12)}, "65 tokens long"),
        ({"timesteps": torch.zeros(2, 3)}, "timesteps"),
    ],
)
def test_shapes_that_do_not_fit_are_explained(wan, bad, message):
    good = {
        "noisy": torch.zeros(1, 16, 3, 4, 6),
        "timesteps": torch.zeros(1, 3),
        "context": torch.zeros(1, 9, 12),
    }
    with pytest.raises(ValueError, match=message):
        cv.forward_all(wan(), **{**good, **bad})
