"""Stream files of earlier versions open, say what they said, and continue as they did.

Recorded latents are compared to the bit where PyTorch computes as on the machine that recorded
them, which stored results of PyTorch's own functions show (`replay.same_arithmetic`). Kernels of
another processor or another build round differently; there a difference of 1e-4 is allowed
(bfloat16: 0.1), of numbers whose standard deviation is about 1.
"""

import pytest
import torch

import causvid_core as cv

from .recorded_streams import replay

TOLERANCE = {"float32": 1e-4, "bfloat16": 0.1}
RECORDED = {name: replay.read(replay.CONTINUED / f"{name}.safetensors") for name in replay.NAMES}
"""By stream: context and latents of the continuation; what is known of it and of the stream."""
CACHED = [name for name in RECORDED if RECORDED[name][1]["stream"]["cache"]]
IN_USE = [name for name in CACHED if RECORDED[name][1]["switch"] == "carry"]
each_stream = pytest.mark.parametrize("name", replay.NAMES)


@pytest.fixture(scope="module", autouse=True)
def same_arithmetic():
    """Whether latents must be the recorded ones to the bit."""
    with replay.one_thread():
        yield replay.same_arithmetic()


@pytest.fixture
def path(name):
    return replay.STREAMS / f"{name}.safetensors"


@pytest.fixture
def recorded(name):
    return RECORDED[name]


def test_recordings_of_every_kind_are_there():
    kinds = {name.split("_")[0] for name in replay.NAMES}
    assert kinds >= {"exact", "int8", "light", "decoder", "after", "just", "then", "empty"}
    assert {RECORDED[name][1]["stream"]["cache"] for name in replay.NAMES} == {
        None, "exact", "int8"
    }  # fmt: skip
    assert {f"after_{mode}_{positions}" for mode in ("carry", "recache", "flush", "cut")
            for positions in ("absolute", "relative")} <= set(replay.NAMES)  # fmt: skip
    assert {path.stem for path in replay.CONTINUED.iterdir()} == set(replay.NAMES)


@each_stream
def test_its_fields_are_the_recorded_ones(path, recorded):
    state, stream = cv.load_stream(path), recorded[1]["stream"]
    assert state.recipe == cv.Recipe(**stream["recipe"])
    for field in ("height", "width", "batch", "seed"):
        assert getattr(state, field) == stream[field], field
    assert state.blocks == len(stream["switches"])
    if state.blocks:
        stored, _ = replay.read(path)
        latents = torch.cat([stored[f"latents.{index}"] for index in range(state.blocks)], dim=2)
        assert replay.bits({"latents": state.latents}) == replay.bits({"latents": latents})


@each_stream
def test_saved_again_it_holds_the_same(path, recorded, tmp_path):
    again = tmp_path / "again.safetensors"
    state, stream = cv.load_stream(path), recorded[1]["stream"]
    cv.save_stream(state, again)
    loaded = cv.load_stream(again)
    assert fields(loaded) == fields(state)
    assert held(loaded) == held(state) == replay.bits(replay.read(path)[0])
    assert [block.switch for block in loaded.history] == stream["switches"]
    header = replay.read(again)[1]["stream"]
    assert (header["switch"], header["decoder"]) == (stream["switch"], stream["decoder"])
    assert cache_of(header) == stream["cache"]


@each_stream
def test_it_continues_with_the_recorded_latents(path, recorded, tmp_path, same_arithmetic):
    blocks, latents = go_on(path, recorded)
    assert agrees(latents, recorded, same_arithmetic)
    cv.save_stream(blocks[-1].state, tmp_path / "longer.safetensors")
    _, metadata = replay.read(tmp_path / "longer.safetensors")
    assert metadata["stream"]["decoder"] == recorded[1]["stream"]["decoder"]
    assert metadata["stream"]["blocks"] == blocks[0].index + replay.BLOCKS


@pytest.mark.parametrize("name", CACHED)
def test_without_its_cache_it_continues_alike(path, recorded, tmp_path, same_arithmetic):
    """A cache in 8 bits is not exact; there, other latents show that the file's was used."""
    light = replay.edit(path, tmp_path / "light.safetensors", replay.drop_cache)
    _, latents = go_on(light, recorded)
    if recorded[1]["stream"]["cache"] == "int8":
        difference = (latents - recorded[0]["latents"]).abs().max()
        assert TOLERANCE["float32"] < difference < 0.5
    else:
        assert agrees(latents, recorded, same_arithmetic)


@pytest.mark.parametrize("name", IN_USE)
def test_its_cache_is_used(path, recorded, tmp_path):
    """Keys and values go by a signature; a changed one would have them computed again."""
    empty = replay.edit(path, tmp_path / "empty.safetensors", replay.clear_values)
    _, latents = go_on(empty, recorded)
    assert (latents - recorded[0]["latents"]).abs().max() > 0.01


def fields(state):
    """What a state holds besides tensors."""
    snapshot = state.snapshot and (state.snapshot.blocks, state.snapshot.signature)
    ids = [block.id for block in state.history]
    return (*state[:6], ids, snapshot, state.decoder and state.decoder[:2], state.switch)


def held(state):
    """The tensors of a state, under the names of format version 3."""
    names, found = {}, {}
    for index, block in enumerate(state.history):
        found[f"latents.{index}"] = block.latents
        found[names.setdefault(id(block.context), f"context.{len(names)}")] = block.context
    for kind in ("keys", "values", "scales") if state.snapshot else ():
        found |= {f"{kind}.{n}": each for n, each in enumerate(getattr(state.snapshot, kind))}
    past = state.decoder.past if state.decoder else ()
    return replay.bits(found | {f"decoder.{n}": each for n, each in enumerate(past)})


def go_on(path, recorded):
    tensors, known = recorded
    return replay.continued(cv.load_stream(path), tensors["context"], known)


def agrees(found, recorded, to_the_bit):
    expected, dtype = recorded[0]["latents"], recorded[1]["dtype"]
    assert found.shape == expected.shape and expected.std() > 0.3
    if to_the_bit:
        return replay.bits({"latents": found}) == replay.bits({"latents": expected})
    return (found - expected).abs().max() < TOLERANCE[dtype]


def cache_of(header):
    """The kind of cache that a stream file's header speaks of."""
    if header["snapshot"] is None:
        return None
    return "int8" if header["snapshot"]["scales"] else "exact"
