"""Damaged and forged files of every kind that people hand on, and what becomes of them."""

import collections
import contextlib
import json
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

MOST_SECONDS, MOST_BYTES = 1.0, 100 * 2**20  # of the processor, and of memory
NUMBERS = (b"0", b"-1", b"1e999", b"999999999", b"99999999999999999999999", b"null", b"true", b"[]")


class Kind(NamedTuple):
    """A file to mutate. head: how many of its first bytes are worth mutating; None for all."""

    name: str
    content: bytes
    file: str
    open: Callable[[Path], object]
    head: int | None = None


class Figures:
    """Counts what became of the files."""

    def __init__(self) -> None:
        self.opened: collections.Counter[str] = collections.Counter()
        self.refused: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self.slowest_s, self.slowest = 0.0, ""
        self.most_bytes = 0

    def show(self) -> None:
        print(f"{'kind':<14}{'opened':>8}{'refused':>9}")
        for name in sorted({*self.opened, *self.refused}):
            print(f"{name:<14}{self.opened[name]:>8}{self.refused[name]:>9}")
        print(f"slowest {self.slowest_s:.2f} s ({self.slowest}), memory {self.most_bytes >> 20} MB")
        print(f"wrong {len(self.wrong)}", *self.wrong[:20], sep="\n  ")


def fuzz(folder: Path, count: int, seed: int) -> Figures:
    """Mutate and open `count` files in a folder; the same for every seed."""
    rng, figures = random.Random(seed), Figures()
    chosen = kinds(folder)
    for number in range(count):
        kind = chosen[number % len(chosen)]
        path = folder / kind.file
        path.write_bytes(mutated(rng, kind))
        _try(kind, path, number, figures)
        path.unlink()
    return figures


def kinds(folder: Path) -> list[Kind]:
    """A small good file of each kind."""
    import torch
    from safetensors.torch import save

    import causvid_core as cv
    from causvid_core.media.loading import load_vae
    from causvid_core.media.tiny import TinyDecoder, TinyVAE
    from causvid_core.media.vae import WanVAE
    from causvid_core.model.checkpoints.lora import read_lora

    def saved(value: Any, **options: Any) -> bytes:
        path = folder / "made.pt"
        torch.save(value, path, **options)
        content = path.read_bytes()
        path.unlink()
        return content

    def plain(tensors: dict[str, Any], notes: dict[str, str] | None = None) -> bytes:
        return save({name: t.contiguous() for name, t in tensors.items()}, notes)

    sizes = {"dim": 128, "ffn_dim": 8, "num_heads": 1, "num_layers": 1, "freq_dim": 4}
    config = cv.WanConfig(**sizes, text_dim=8)
    model = cv.CausalWan(config)
    state = model.state_dict()
    down, up = torch.randn(2, 128), torch.randn(128, 2)
    lora = {"diffusion_model.blocks.0.self_attn.q.lora_A.weight": down}
    lora |= {"diffusion_model.blocks.0.self_attn.q.lora_B.weight": up}
    stream = folder / "stream.safetensors"
    begun = cv.start(cv.Recipe(timesteps=(1000,)), model, height=4, width=4)
    last = list(cv.rollout(model, begun, torch.randn(1, 2, 8), 2))[-1]
    cv.save_stream(last.state, stream)
    made = stream.read_bytes()
    stream.unlink()
    (folder / "part.safetensors").write_bytes(plain(state))
    index = json.dumps({"weight_map": dict.fromkeys(state, "part.safetensors")}).encode()
    weights = plain(state, {"causvid": json.dumps({"config": config.to_dict()})})
    vae, tiny = plain(WanVAE(8).state_dict()), plain(TinyVAE((8, 8, 8, 8)).state_dict())
    return [
        Kind("checkpoint", weights, "a.safetensors", cv.load_model, _head(weights)),
        Kind("archive", saved({"generator_ema": state}), "a.pt", cv.load_model, 8192),
        Kind(
            "old pickle",
            saved(state, _use_new_zipfile_serialization=False),
            "a.pth",
            cv.load_model,
            4096,
        ),
        Kind("index", index, "model.safetensors.index.json", cv.load_model),
        Kind("lora", plain(lora, {"lora_alpha": "2"}), "a.safetensors", read_lora),
        Kind("vae", vae, "a.safetensors", load_vae, _head(vae)),
        Kind("stream", made, "a.safetensors", cv.load_stream, _head(made)),
        Kind("tiny decoder", tiny, "a.safetensors", TinyDecoder.from_file, _head(tiny)),
    ]


def mutated(rng: random.Random, kind: Kind) -> bytes:
    """The file with up to four changes, mostly where it describes itself."""
    content = bytearray(kind.content)
    for _ in range(rng.randint(1, 4)):
        most = len(content) if kind.head is None or rng.random() < 0.1 else kind.head
        at = rng.randrange(max(1, min(most, len(content))))
        change = rng.randrange(7)
        if change == 0:
            content[at : at + 1] = bytes([rng.randrange(256)])
        elif change == 1:
            del content[at : at + rng.randint(1, 40)]
        elif change == 2:
            content[at:at] = content[at : at + rng.randint(1, 200)]
        elif change == 3:
            content[at:at] = rng.choice(NUMBERS)
        elif change == 4:
            del content[at:]
        elif change == 5:
            content[:8] = rng.choice([2, 2**20, 2**31, 2**63]).to_bytes(8, "little")
        else:
            content[at : at + 1] = b"[" * rng.choice([1, 10, 5000])
    return bytes(content)


def _head(content: bytes) -> int:
    """The length of a safetensors file's header."""
    return 8 + int.from_bytes(content[:8], "little")


def _try(kind: Kind, path: Path, number: int, figures: Figures) -> None:
    before, begun = _memory(), time.process_time()
    try:
        with contextlib.redirect_stderr(None):
            kind.open(path)
    except (OSError, ValueError):
        figures.refused[kind.name] += 1
    except Exception as error:
        figures.wrong.append(f"{kind.name} {number}: {type(error).__name__}: {error!s:.100}")
    else:
        figures.opened[kind.name] += 1
    seconds, grown = time.process_time() - begun, _memory() - before
    if seconds > figures.slowest_s:
        figures.slowest_s, figures.slowest = seconds, f"{kind.name} {number}"
    figures.most_bytes = max(figures.most_bytes, grown)
    if grown > MOST_BYTES or seconds > MOST_SECONDS:
        figures.wrong.append(f"{kind.name} {number}: {seconds:.2f} s, {grown >> 20} MB")


def _memory() -> int:
    """Bytes that this process had at most."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
