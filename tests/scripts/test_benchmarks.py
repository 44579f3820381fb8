"""Operation counts against torch's own counter, and how memory and nodes are measured."""

import mmap
import threading
from collections import defaultdict
from types import SimpleNamespace

import psutil
import pytest
import torch
from benchmarks.chain import CHAIN, SAMPLER, WAYS, chain_prompts
from benchmarks.child import PeakMemory
from benchmarks.comfyui import NodeTimer, own_sampler
from benchmarks.counting import clip_cost
from benchmarks.engine import make_recipe, recomputed_blocks
from benchmarks.sizes import PRESET, SIZES
from torch.utils.flop_counter import FlopCounterMode

import causvid_core as cv

CONFIG = cv.WanConfig(
    dim=32, ffn_dim=48, freq_dim=16, text_dim=12, text_len=64, num_heads=2, num_layers=3
)
PROMPT_TOKENS = 5


def countable_attention(q, k, v, bias=None):
    """Attention as two matrix products, which torch counts on every device."""
    q, k, v = (x.transpose(1, 2) for x in (q, k, v))
    scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
    return ((scores if bias is None else scores + bias).softmax(-1) @ v).transpose(1, 2)


@pytest.mark.parametrize(
    "recipe",
    [
        cv.Recipe(timesteps=(1000, 750, 500), shift=5.0),
        cv.Recipe(timesteps=(1000, 750), shift=5.0, window=7, sink=1, positions="relative"),
        cv.Recipe(timesteps=(1000,), frames_per_block=2, first_block_frames=1),
    ],
    ids=["full", "window", "first block"],
)
def test_operation_counts_equal_those_of_torch(recipe: cv.Recipe) -> None:
    model = cv.bind(cv.CausalWan(CONFIG), attention=countable_attention)
    context = torch.randn(1, PROMPT_TOKENS, CONFIG.text_dim)
    state = cv.start(recipe, model, height=4, width=6)
    with FlopCounterMode(display=False) as counter:
        blocks = list(cv.rollout(model, state, context, 4))
    latent_frames = sum(block.latents.shape[2] for block in blocks)
    cost = clip_cost(CONFIG, recipe, 4, 6, latent_frames, PROMPT_TOKENS + 1, itemsize=4)
    assert cost.flop == counter.get_total_flops()


def test_counted_bytes_are_at_least_the_weights_of_every_pass() -> None:
    recipe = cv.Recipe(timesteps=(1000, 750), shift=5.0)
    model = cv.CausalWan(CONFIG)
    matrices = sum(p.numel() for n, p in model.named_parameters() if p.ndim > 1)
    prompt = sum(
        p.numel()
        for n, p in model.named_parameters()
        if p.ndim > 1 and ("text" in n or "cross_attn.k" in n or "cross_attn.v" in n)
    )
    modulation = sum(p.numel() for n, p in model.named_parameters() if "modulation" in n)
    one_block = clip_cost(CONFIG, recipe, 4, 6, 3, PROMPT_TOKENS, itemsize=2)
    tokens = 3 * CONFIG.tokens_per_frame(4, 6)
    kept = 2 * CONFIG.num_layers * CONFIG.dim * 2 * tokens
    assert one_block.bytes == 2 * 2 * (matrices - prompt - modulation + kept)


def test_both_samplers_are_given_the_same_noise_levels() -> None:
    recipe = make_recipe(SIZES["full"], windowed=False)
    assert recipe == cv.recipes[PRESET]
    schemas = defaultdict(lambda: {"input": {}})
    theirs = own_sampler(schemas, SIZES["full"], 21, seed=0)["sigmas"]["inputs"]["sigmas"]
    sigmas = (*recipe.schedule(0).sigmas, 0.0)
    assert [float(text) for text in theirs.split(", ")] == pytest.approx(sigmas, abs=1e-6)


def test_the_version_without_cache_makes_the_clip() -> None:
    size = SIZES["quick"]
    model = cv.CausalWan(cv.WanConfig(dim=32, ffn_dim=32, num_heads=2, num_layers=1))
    with torch.inference_mode():
        blocks = list(recomputed_blocks(model, make_recipe(size, windowed=False), size, 6))
    assert [block.shape for block in blocks] == [(1, 16, 3, 8, 8)] * 2


def test_peak_memory_is_seen_after_it_was_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = threading.Semaphore(0)
    read = psutil.Process.memory_info

    def counted(process: psutil.Process) -> object:
        info = read(process)
        readings.release()
        return info

    monkeypatch.setattr(psutil.Process, "memory_info", counted)
    with PeakMemory() as peak:
        # Pages of its own: memory from malloc may be resident from an earlier test already.
        with mmap.mmap(-1, 64 << 20) as held:
            held.write(b"1" * len(held))
            while readings.acquire(blocking=False):
                pass
            for _ in range(2):  # the first one may have begun before the pages were written
                assert readings.acquire(timeout=60)
    assert 48 << 20 < peak.bytes < 512 << 20


def test_a_node_is_timed_until_the_next_one_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = SimpleNamespace(perf_counter=iter((1.0, 3.0, 10.0, 20.0)).__next__)
    monkeypatch.setattr("benchmarks.comfyui.time", clock)
    timer = NodeTimer("b")
    for node in ("a", "b", "c", None):
        timer({"type": "executing", "data": {"node": node}})
    assert timer.seconds == 7.0


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_a_chain_makes_the_same_clip(way: str) -> None:
    inputs = {"px_frames": 81, "seed": 3}  # 21 latent frames
    prompts = chain_prompts(
        way,
        {
            SAMPLER: {"class_type": "T", "inputs": inputs},
            "save": {"class_type": "S", "inputs": {"samples": [SAMPLER, 1]}},
        },
    )
    last = prompts[-1]
    nodes = [last[name]["inputs"] for name in CHAIN if name in last]
    assert sum(node["px_frames"] for node in nodes) == 81
    assert [node.get("stream", [None])[0] for node in nodes] == [None, *CHAIN][: len(nodes)]
    assert last["save"]["inputs"]["samples"][0] == [name for name in CHAIN if name in last][-1]
    assert len(prompts) == (3 if way in ("through_cpu", "recomputed") else 1)
