"""Training: resumed equals uninterrupted, and teacher forcing equals a masked forward."""

import csv
import logging
from dataclasses import replace

import pytest
import torch

from causvid_core.distill.training.network_settings import Optimizer
from causvid_core.distill.training.saved_runs import saved_runs
from causvid_core.distill.training.settings import Batch
from causvid_core.media.vae import WanVAE
from causvid_core.mini.clips import encode_world
from causvid_core.mini.files import weights_path
from causvid_core.mini.making import _write
from causvid_core.mini.measure import foreground
from causvid_core.mini.text_encoder import TEXT_LEN, TextEncoder, new_table
from causvid_core.mini.training import transformer
from causvid_core.mini.training.decoder import DecoderSettings, near_shapes, train_decoder
from causvid_core.mini.training.loop import Loop, train
from causvid_core.mini.training.transformer import RUN, experiment, train_transformer
from causvid_core.mini.training.vae import LatentScale, new_vae, normalise_latents
from causvid_core.mini.vocabulary import VOCABULARY
from causvid_core.mini.world import held_out_specs, render
from causvid_core.model.attention import BlockCausalAttention, torch_attention
from causvid_core.model.checkpoints import read_state_dict
from causvid_core.model.pieces import teacher_forced
from causvid_core.model.rope import Rotary, rotate


def _train(path, stop_after=None):
    torch.manual_seed(0)
    model = torch.nn.Linear(3, 1)

    def loss_of_step(step, generator):
        if step == stop_after:
            raise KeyboardInterrupt
        x = torch.randn(8, 3, generator=generator)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        return loss, {"loss": float(loss.detach())}

    optimizer = Optimizer(lr=0.05, warmup_steps=2)
    settings = Loop(steps=20, optimizer=optimizer, checkpoint_every=4, log_every=10)
    return train(model, loss_of_step, settings, path)


def test_a_killed_training_resumes_to_the_same_weights(tmp_path):
    whole = _train(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        _train(tmp_path / "cut", stop_after=11)
    resumed = _train(tmp_path / "cut")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    with (tmp_path / "cut" / "metrics.csv").open(newline="") as file:
        last = list(csv.DictReader(file))[-1]
    assert int(last["step"]) == 20 and float(last["loss"]) > 0


def test_teacher_forcing_is_attention_under_its_mask():
    """Against one attention over everything with the mask written out."""
    blocks, frames, window, grid, heads, width = 4, 2, 2, (1, 2), 2, 12
    rotary = Rotary(width, grid, torch.device("cpu"))
    tokens = frames * grid[0] * grid[1]
    rope = rotary.table([*range((blocks - 1) * frames), *range(blocks * frames)])
    pieces = teacher_forced([frames] * blocks, window * frames)
    in_tokens = [p.times(grid[0] * grid[1]) for p in pieces]
    attend = BlockCausalAttention(torch_attention, rope, in_tokens)
    count = (2 * blocks - 1) * tokens
    q, k, v = (torch.randn(2, count, heads, width) for _ in range(3))

    clean = blocks - 1
    block = torch.arange(2 * blocks - 1).repeat_interleave(tokens)
    is_clean, place = block < clean, torch.where(block < clean, block, block - clean)
    mask = torch.zeros(count, count, dtype=torch.bool)
    for i in range(count):
        for j in range(count):
            near = place[i] - window < place[j]
            if is_clean[j]:
                ahead = place[j] <= place[i] if is_clean[i] else place[j] < place[i]
                mask[i, j] = ahead and near
            else:
                mask[i, j] = not is_clean[i] and place[j] == place[i]
    logits = torch.einsum("bihd,bjhd->bhij", rotate(q, rope), rotate(k, rope)) / width**0.5
    weights = logits.masked_fill(~mask, -torch.inf).softmax(-1)
    expected = torch.einsum("bhij,bjhd->bihd", weights, v)
    torch.testing.assert_close(attend(0, q, k, v), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_transformer_learns_from_clips_and_openings(tmp_path, monkeypatch, workers):
    """From given weights and resumed to the end, in one process; a step in two."""

    def smaller(*arguments):
        whole = experiment(*arguments)
        data = replace(whole.data, openings=replace(whole.data.openings, per_batch=2))
        return replace(whole, data=data, batch=Batch(size=4, per_rank=4))

    monkeypatch.setattr(transformer, "experiment", smaller)
    torch.manual_seed(0)
    vae = WanVAE(4).eval()
    encode_world(vae, 2, 45, seed=0, folder=tmp_path / "clips")
    encode_world(vae, 4, 9, seed=1, folder=tmp_path / "openings", openings=True)
    _write(tmp_path, "text", {"words": new_table()}, {"words": " ".join(VOCABULARY)})
    first = weights_path("dit")
    lengths = [1, 2] if workers == 1 else [1]
    for steps in lengths:
        assert train_transformer(tmp_path, steps, first, workers)
        before, after = (read_state_dict(str(p)) for p in (first, weights_path("dit", tmp_path)))
        assert before.keys() == after.keys()
        assert all(tensor.dtype == torch.float16 for tensor in after.values())
        assert not torch.equal(before["head.head.weight"], after["head.head.weight"])
    assert list(saved_runs(tmp_path / RUN)) == lengths


def test_folding_the_latent_scale_changes_no_picture():
    torch.manual_seed(0)
    vae = new_vae(4).eval()
    px = render(held_out_specs(2), 9)
    with torch.no_grad():
        before = vae.decoder(vae.conv2(vae.conv1(vae.encoder(px * 2 - 1))[:, :16]))
        normalise_latents(vae, clips=8)
        latents = vae.encode(px)
        after = vae.decode(latents)
    torch.testing.assert_close((before / 2 + 0.5).clamp(0, 1), after, atol=1e-3, rtol=0)
    assert 0.5 < latents.std() < 1.5 and latents.mean().abs() < 0.5


def test_folding_the_scale_of_training_changes_no_picture():
    """What the decoder learned to read is what the encoder of the published weights gives."""
    torch.manual_seed(0)
    vae, scale = new_vae(4).eval(), LatentScale()
    px = render(held_out_specs(1), 5)
    with torch.no_grad():
        scale.mean.normal_()
        scale.std.uniform_(0.5, 2)
        raw = vae.conv1(vae.encoder(px * 2 - 1))[:, :16]
        before = vae.decoder(vae.conv2((raw - scale.mean) / (scale.std + 1e-4)))
        scale.fold_into(vae)
        normalise_latents(vae, clips=4)
        after = vae.decode(vae.encode(px))
    torch.testing.assert_close((before / 2 + 0.5).clamp(0, 1), after, atol=1e-3, rtol=0)


def test_latent_scale_normalises_and_remembers():
    scale = LatentScale()
    latents = 5 + 3 * torch.randn(4, 16, 1, 8, 8)
    for _ in range(300):
        out = scale(latents, of_batch=True)
    assert out.std().sub(1).abs() < 0.05 and out.mean().abs() < 0.05
    torch.testing.assert_close(scale(latents, of_batch=False), out, atol=0.1, rtol=0)


def test_text_encoder_pads_and_warns(caplog):
    encoder = TextEncoder(new_table())
    with caplog.at_level(logging.WARNING, logger="causvid"):
        context = encoder.encode("a red dragon moving up")
    assert context.shape == (1, TEXT_LEN, 4096)
    assert (context[0].abs().sum(1) > 0).sum() == 3
    assert "does not know dragon;" in caplog.text and "circle" in caplog.text


def test_text_encoder_refuses_a_table_of_another_vocabulary():
    with pytest.raises(ValueError, match="were expected"):
        TextEncoder(torch.zeros(3, 4096))


def test_the_decoder_learns_and_the_latents_stay(tmp_path):
    torch.manual_seed(0)
    before = new_vae(4).state_dict()
    vae = WanVAE.from_state_dict(before)
    clips = render(held_out_specs(2), 5, height=16, width=16)
    steps = DecoderSettings(
        steps=20, detail_steps=6, batch=1, clip_px_frames=5, detail_batch=2, learning_rate=3e-3
    )
    after = train_decoder(steps, before, tmp_path / "new")
    trained = WanVAE.from_state_dict(after)
    assert all(
        torch.equal(after[name], before[name].half())
        for name in after
        if name.startswith(("encoder.", "conv1."))
    )
    latents = vae.encode(clips)
    assert (trained.decode(latents) - clips).square().mean() < 0.7 * (
        vae.decode(latents) - clips
    ).square().mean()


def test_details_weigh_what_is_near_a_shape():
    px = render(held_out_specs(2), 3)
    weight = near_shapes(px, 8.0)
    assert weight.shape == (2, 1, 3, 64, 64)
    assert weight.min() == 1 and weight.max() == 8
    for clip, weights in zip(px, weight, strict=True):
        shape = foreground(clip) > 0.99
        assert (weights[0][shape] == 8).all()
        around = torch.nn.functional.max_pool2d(shape.float(), 9, stride=1, padding=4) > 0
        assert (weights[0][~around] == 1).all() and (~around).float().mean() > 0.5
