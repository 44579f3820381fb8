"""Small random models and recorded rollouts for the engine's tests."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import causvid_core as cv
from causvid_core.model import kv_cache
from causvid_core.stream import cache, session

from .streams import RECIPES, SIZE, latents, make

GOLDEN = Path(__file__).resolve().parent.parent / "golden"


class Golden:
    """A recorded case: settings, tensors with channels before latent frames, and its model."""

    def __init__(self, name):
        path = GOLDEN / f"{name}.safetensors"
        with safe_open(path, "pt") as file:
            self.case = json.loads(file.metadata()["case"])
        tensors = load_file(path)
        self.tensors = {
            key: value if value.shape[-3:-2] != (16,) else value.transpose(-4, -3)
            for key, value in tensors.items()
            if not key.startswith(("weights.", "cache."))
        }
        self.cache = {key: value for key, value in tensors.items() if key.startswith("cache.")}
        sizes = "dim ffn_dim freq_dim text_dim num_heads num_layers text_len".split()
        self.model = cv.CausalWan(cv.WanConfig(**{size: self.case[size] for size in sizes}))
        self.model.load_state_dict(
            {key[8:]: value for key, value in tensors.items() if key.startswith("weights.")}
        )

    def __getitem__(self, name):
        return self.tensors[name]

    @property
    def recipe(self):
        case = self.case
        return cv.Recipe(
            timesteps=tuple(case["steps"]),
            warp=case["warp"],
            shift=case["shift"],
            frames_per_block=case["frames_per_block"],
            first_block_frames=1 if case["independent_first_frame"] else None,
            window=None if case["local_attn_frames"] < 0 else case["local_attn_frames"],
            sink=case["sink_frames"],
            context_timestep=case["context_noise"],
        )


@pytest.fixture
def golden():
    """golden(name) reads a recorded case."""
    return Golden


def make_model(seed=0, dtype=torch.float32, **sizes):
    """A small model whose output is far from zero."""
    config = {
        "dim": 32,
        "ffn_dim": 48,
        "freq_dim": 16,
        "text_dim": 12,
        "text_len": 64,
        "num_heads": 2,
        "num_layers": 2,
    }
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = cv.CausalWan(cv.WanConfig(**{**config, **sizes}))
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.15)
    return model.to(dtype)


@pytest.fixture
def wan():
    """wan(**sizes) makes a small random model."""
    return make_model


@pytest.fixture
def context():
    """A prompt for the small models."""
    return torch.randn(1, 5, 12, generator=torch.Generator().manual_seed(5))


SHORT = {"timesteps": (1000, 600), "shift": 5.0}


@pytest.fixture
def windowed():
    """Recipe of a short window with a sink, two steps."""
    return cv.Recipe(**SHORT, window=9, sink=3)


@pytest.fixture(params=sorted(RECIPES))
def recipe(request):
    return RECIPES[request.param]


@pytest.fixture
def model(wan):
    return wan()


@pytest.fixture
def whole(model, context, recipe):
    """Eight blocks without interruption."""
    return latents(make(model, cv.start(recipe, model, **SIZE, seed=7), context, 8))


@pytest.fixture
def allocations(monkeypatch):
    """The tokens of every allocation of a ring of keys and values, two a layer."""
    made = []
    allocate = kv_cache.KVRing._allocate

    def noted(ring, tokens):
        made.append(tokens)
        return allocate(ring, tokens)

    monkeypatch.setattr(kv_cache.KVRing, "_allocate", noted)
    return made


@pytest.fixture(autouse=True)
def checked_caches(monkeypatch):
    """Every operation on a live cache, and every one that fails, leaves it consistent."""

    def check(owner, name, cache_of):
        operation = getattr(owner, name)

        def run(self, *args, **options):
            try:
                return operation(self, *args, **options)
            finally:
                cache_of(self)

        monkeypatch.setattr(owner, name, run)

    def of_session(own):
        if own._live is not None:
            own._live.check_integrity(own.segment.policy if own.segment is own._cached else None)

    def claimed(bound, policy, *args, **options):
        live = cache.claim(bound, policy, *args, **options)
        live.check_integrity(policy)
        return live

    monkeypatch.setattr(session, "claim", claimed)
    for name in ("rewind", "clear", "attention"):
        check(cache.LiveCache, name, cache.LiveCache.check_integrity)
    for name in ("catch_up", "close", "_inputs_of", "_finish", "_clean_pass"):
        check(session.Session, name, of_session)
