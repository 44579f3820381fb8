"""Records further streams: add one to `streams` below, then
`python -m tests.core.recorded_streams.make`.

Files that exist are never written again: they stand for what people have on their disks.
"""

import json
from dataclasses import asdict

import torch
from safetensors.torch import save_file

import causvid_core as cv
from causvid_core.stream.snapshots import snapshot, snapshot_within

from . import replay

SIZES = {"dim": 32, "ffn_dim": 48, "freq_dim": 16, "text_dim": 12, "text_len": 8, "num_heads": 2,
         "num_layers": 2}  # fmt: skip
SHORT = {"timesteps": (1000, 600), "shift": 5.0}
ABSOLUTE = cv.Recipe(**SHORT, window=9, sink=3)
RELATIVE = cv.Recipe(**SHORT, window=9, sink=1, positions="relative")
EVERYTHING = cv.Recipe(timesteps=(1000, 757, 522), shift=8.0)
FRAMEWISE = cv.Recipe(**SHORT, frames_per_block=1, window=4, sink=1, context_timestep=30.0)
FIRST_FRAME = cv.Recipe(
    timesteps=(1000, 500),
    warp=True,
    shift=5.0,
    window=8,
    first_block_frames=1,
    first_block_timesteps=(1000, 750, 500, 250),
)
SIZE = {"height": 4, "width": 4}
WIDE = {"height": 4, "width": 6}


class Prompts:
    """A plan that changes to the next prompt, in a given mode, at each of some blocks."""

    def __init__(self, switches, batch=1):
        self._switches = switches
        self._prompts = [prompt(number, batch) for number in range(len(switches) + 1)]

    def at(self, block_index):
        return self._prompts[sum(block_index >= switched for switched in self._switches)]

    def switch(self, block_index):
        return self._switches.get(block_index, "carry")


def prompt(number, batch=1):
    return torch.randn(batch, 5, 12, generator=torch.Generator().manual_seed(100 + number))


def rolled(recipe, blocks, switches=None, batch=1, size=SIZE, dtype=torch.float32):
    """A state after some blocks; its keys and values are still on the device."""
    model, plan = replay.model(dtype), Prompts(switches or {}, batch)
    state = cv.start(recipe, model, **size, batch=batch, seed=7)
    return list(cv.rollout(model, state, plan, blocks))[-1].state


def decoded(state, past):
    """The state as a node leaves it that has decoded its first 5 blocks.

    No public function sets this; a decoder's own tensors would be too large to keep here.
    """
    from causvid_core.stream.state import DecoderMemory

    return state._replace(decoder=DecoderMemory("recorded decoder 1", 5, past))


def decoder_tensors():
    given = torch.randn(3, 1, 4, 2, 8, 12, generator=torch.Generator().manual_seed(50))
    return given[0], given[1].bfloat16(), given[2, :, :, 0].half()


def primed():
    """Two blocks made of given latents, then two of the model's own."""
    model, context = replay.model(), prompt(0)
    given = torch.randn(1, 16, 6, 4, 4, generator=torch.Generator().manual_seed(60))
    state = cv.prime(model, cv.start(ABSOLUTE, model, **SIZE, seed=9), context, given)
    return list(cv.rollout(model, state, context, 2))[-1].state


def int8(state):
    return snapshot_within(state, 10**9, int8=True)


def streams():
    """By name: a function that makes the state, the prompt it continues with, and the mode in
    which it turns to that prompt. A name with bfloat16 in it has a model of that dtype.
    """
    made = {
        "exact_absolute": (lambda: snapshot(rolled(ABSOLUTE, 6)), prompt(0), "carry"),
        "exact_relative": (lambda: snapshot(rolled(RELATIVE, 6, size=WIDE)), prompt(0), "carry"),
        "exact_everything": (lambda: snapshot(rolled(EVERYTHING, 3)), prompt(0), "carry"),
        "exact_framewise": (lambda: snapshot(rolled(FRAMEWISE, 7)), prompt(0), "carry"),
        "exact_first_frame": (lambda: snapshot(rolled(FIRST_FRAME, 5)), prompt(0), "carry"),
        "exact_batch": (lambda: snapshot(rolled(RELATIVE, 4, batch=2)), prompt(0, 2), "carry"),
        "exact_bfloat16": (lambda: snapshot(rolled(ABSOLUTE, 4, dtype=torch.bfloat16)), prompt(0),
                           "carry"),
        "exact_primed": (lambda: snapshot(primed()), prompt(0), "carry"),
        "int8_absolute": (lambda: int8(rolled(ABSOLUTE, 5)), prompt(1), "carry"),
        "int8_relative_batch": (lambda: int8(rolled(RELATIVE, 4, {2: "carry"}, 2)), prompt(1, 2),
                                "carry"),
        "light_absolute": (lambda: rolled(ABSOLUTE, 6, size=WIDE).light(), prompt(0), "carry"),
        "light_relative": (lambda: rolled(RELATIVE, 6).light(), prompt(1), "carry"),
        "light_many_switches": (
            lambda: rolled(ABSOLUTE, 7, {1: "cut", 3: "carry", 4: "flush", 6: "recache"}).light(),
            prompt(4), "carry",
        ),
        "pending_recache": (
            lambda: rolled(ABSOLUTE, 4).light()._replace(switch="recache"), prompt(0), "carry",
        ),
        "decoder": (lambda: decoded(rolled(ABSOLUTE, 6).light(), decoder_tensors()), prompt(0),
                    "carry"),
        "then_recache": (lambda: rolled(RELATIVE, 4).light(), prompt(1), "recache"),
        "then_flush": (lambda: snapshot(rolled(RELATIVE, 4)), prompt(1), "flush"),
        "then_cut": (lambda: rolled(RELATIVE, 4).light(), prompt(1), "cut"),
        "decoder_light": (lambda: decoded(rolled(ABSOLUTE, 6).light(), ()), prompt(0), "carry"),
        "empty": (lambda: cv.start(RELATIVE, replay.model(), **SIZE, seed=2**64 - 1), prompt(0),
                  "carry"),
    }  # fmt: skip
    for mode in ("carry", "recache", "flush", "cut"):
        for recipe in (ABSOLUTE, RELATIVE):
            switched = rolled_after(recipe, 5, {3: mode})
            made[f"after_{mode}_{recipe.positions}"] = (switched, prompt(1), "carry")
    for mode in ("recache", "flush", "cut"):
        made[f"just_after_{mode}"] = (rolled_after(ABSOLUTE, 4, {3: mode}), prompt(1), "carry")
    return made


def rolled_after(recipe, blocks, switches):
    return lambda: snapshot(rolled(recipe, blocks, switches))


def record(name, make, context, switch):
    """Write a stream, and its continuation with what its fields must be."""
    path = replay.STREAMS / f"{name}.safetensors"
    notes = {"workflow": json.dumps({"name": "recorded é 视频"})}
    cv.save_stream(make(), path, notes if name == "exact_absolute" else None)
    state = cv.load_stream(path)
    known = {"switch": switch, "dtype": "bfloat16" if "bfloat16" in name else "float32"}
    _, latents = replay.continued(state, context, known)
    tensors, metadata = replay.read(path)
    header = metadata["stream"]
    snapshot, decoder = header["snapshot"], header["decoder"]
    stream = {
        "version": metadata["version"],
        "recipe": asdict(state.recipe),
        **{field: header[field] for field in ("height", "width", "batch", "seed", "switch")},
        "switches": [block.switch for block in state.history],
        "cache": None if snapshot is None else ("int8" if snapshot["scales"] else "exact"),
        "decoder": decoder,
    }
    save_file(
        {"latents": latents, "context": context},
        replay.CONTINUED / f"{name}.safetensors",
        known | {"stream": json.dumps(stream)},
    )


def record_model():
    """Write a small random model whose output is far from zero."""
    made, random = cv.CausalWan(cv.WanConfig(**SIZES)), torch.Generator().manual_seed(0)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.15, generator=random)
    weights = {name: tensor.detach().contiguous() for name, tensor in made.state_dict().items()}
    save_file(weights, replay.MODEL, {"config": json.dumps(SIZES)})


def record_arithmetic():
    """Write numbers, and digests of what this machine makes of them."""
    tokens = torch.randn(2, 64, 32, generator=torch.Generator().manual_seed(1))
    digests = json.dumps(replay.arithmetic(tokens))
    save_file({"tokens": tokens}, replay.ARITHMETIC, {"digests": digests})


def main():
    for folder in (replay.STREAMS, replay.CONTINUED):
        folder.mkdir(exist_ok=True)
    if not replay.MODEL.exists():
        record_model()
    if not replay.ARITHMETIC.exists():
        record_arithmetic()
    if not replay.same_arithmetic():
        raise SystemExit("this machine computes differently; record where the others were made")
    for name, (make, context, switch) in streams().items():
        if not (replay.STREAMS / f"{name}.safetensors").exists():
            record(name, make, context, switch)
            print(f"recorded {name}")


if __name__ == "__main__":
    with replay.one_thread():
        main()
