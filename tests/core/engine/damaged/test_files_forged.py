"""Stream files with valid checksums that describe no stream, and odd ones that must open."""

import json
import zlib

import pytest
import torch

import causvid_core as cv

from ..stream_files import parts, put, rewrite, same, save_version_3


def of_recipe(**values):
    return lambda metadata, stream: stream["recipe"].update(values)


def of_block(**values):
    return lambda metadata, stream: stream["blocks"][1].update(values)


def of_decoder(**values):
    return lambda metadata, stream: stream["decoder"].update(values)


def of_snapshot(**values):
    return lambda metadata, stream: stream["snapshot"].update(values)


CHANGES = {
    "newer": (lambda m, s: m.update(version="5"), "newer than the 4"),
    "version": (lambda m, s: m.update(version="one"), "version reads 'one'"),
    "long version": (lambda m, s: m.update(version="9" * 9999), "version reads '999"),
    "foreign": (lambda m, s: m.update(format="pt"), "of another kind"),
    "list": (lambda m, s: [1], "does not describe a stream"),
    "no batch": (lambda m, s: s.update(batch=0), "its batch is 0"),
    "huge batch": (lambda m, s: s.update(batch=10**18), "its batch is 1000"),
    "true height": (lambda m, s: s.update(height=True), "its height is True"),
    "text height": (lambda m, s: s.update(height="4"), "its height is '4'"),
    "seed": (lambda m, s: s.update(seed=10**20), "a number of 21 digits"),
    "text seed": (lambda m, s: s.update(seed="4"), "its seed"),
    "model": (lambda m, s: s.update(model="x" * 9999), "its model is not a short text"),
    "switch": (lambda m, s: s.update(switch="jump"), "the switch is 'jump'"),
    "decoder": (lambda m, s: s.update(decoder=10**18), "its decoder is"),
    "less decoder": (lambda m, s: s.update(decoder=0), "'decoder.0', which nothing uses"),
    "no decoder": (lambda m, s: s.update(decoder=None), "'decoder.0', which nothing uses"),
    "decoder list": (lambda m, s: s.update(decoder=[1]), "its decoder is"),
    "decoder name": (of_decoder(name=7), "its decoder's name is not a short text"),
    "decoder blocks": (of_decoder(blocks=9), "its blocks that are decoded is 9"),
    "decoder tensors": (of_decoder(tensors=10**18), "its decoder is"),
    "decoder parts": (of_decoder(tensors=2), "does not describe a stream"),
    "missing": (lambda m, s: s.pop("seed") and None, "does not describe a stream"),
    "note": (lambda m, s: s["notes"].update(more=1), "does not describe a stream"),
    "checksums": (lambda m, s: s["checksums"].pop("keys.0") and None, "one checksum for every"),
    "tensors": (lambda m, s: s["tensors"].pop("keys.0") and None, "does not fit the tensor"),
    "shape": (lambda m, s: s["tensors"]["context.0"][1].append(1), "does not fit the tensor"),
    "layers": (of_snapshot(layers=10**15), "its layers is"),
    "fewer layers": (of_snapshot(layers=1), "which nothing uses"),
    "snapshot blocks": (of_snapshot(blocks=9), "keys and values is 9"),
    "signature": (of_snapshot(signature=None), "its signature"),
    "scales": (of_snapshot(scales=4), "float32 keys and values have 4 scales"),
    "many scales": (of_snapshot(scales=10**15), "scales"),
    "snapshot list": (lambda m, s: s.update(snapshot=[]), "does not describe a stream"),
    "unknown recipe": (of_recipe(gone=1), "'gone', which this version does not know"),
    "small window": (of_recipe(window=1), "a window of 1"),
    "huge window": (of_recipe(window=10**19), "window is 1000"),
    "true window": (of_recipe(window=True), "window is True"),
    "text window": (of_recipe(window="9"), "window is '9'"),
    "list for warp": (of_recipe(warp=[1]), r"warp is [1]"),
    "frames": (of_recipe(frames_per_block=10**9, window=None), "expected"),
    "timesteps": (of_recipe(timesteps=[1000 - n / 90 for n in range(20000)]), "20,000 timesteps"),
    "text timesteps": (of_recipe(timesteps="987"), "expected numbers"),
    "shift": (of_recipe(shift="8"), "shift is '8'"),
    "positions": (of_recipe(positions=[]), "positions is"),
}
LISTED = {
    "batch": (lambda m, s: s.update(batch=2), "expected"),
    "no blocks": (lambda m, s: s.update(blocks=[]), "expected 1 to 0"),
    "block": (lambda m, s: s["blocks"].pop() and None, "does not describe a stream"),
    "block list": (lambda m, s: s.update(blocks=7), "does not describe a stream"),
    "block key": (of_block(key=7), "its block key is not a short text"),
    "block context": (of_block(context="latents.0"), "which is not a prompt"),
    "no context": (of_block(context="context.9"), "does not describe a stream"),
    "context list": (of_block(context=[]), "does not describe a stream"),
    "block switch": (of_block(switch=["cut"]), "the switch is"),
    "repeated": (lambda m, s: s["blocks"].__setitem__(1, s["blocks"][0]), "a block twice"),
}


def of_tensor(name, dtype=None, shape=None):
    """The same change to a tensor's description in both headers of a file."""

    def change(metadata, stream):
        entry = stream["tensors"][name]
        entry[:] = [dtype or entry[0], shape or entry[1]]

    return change


TABLED = {
    "batch": (lambda m, s: s.update(batch=2), "which is not a prompt"),
    "no blocks": (lambda m, s: s.update(blocks=0, contexts=[], snapshot=None), "its blocks"),
    "fewer blocks": (lambda m, s: s.update(blocks=3), "expected"),
    "more blocks": (lambda m, s: s.update(blocks=5), "expected"),
    "huge blocks": (lambda m, s: s.update(blocks=10**12), "its blocks is 1000"),
    "block list": (lambda m, s: s.update(blocks=[]), "its blocks is []"),
    "context list": (lambda m, s: s.update(contexts={}), "where its prompts are"),
    "no contexts": (lambda m, s: s.update(contexts=[]), "where its prompts are"),
    "more contexts": (lambda m, s: s.update(contexts=[2]), "context_tokens is"),
    "negative contexts": (lambda m, s: s.update(contexts=[2, -1]), "prompts in a chunk is -1"),
    "other chunk": (lambda m, s: s.update(contexts=[1, 1]), "does not describe a stream"),
    "frames of blocks": (of_recipe(frames_per_block=1), "expected blocks of"),
    "first block": (of_recipe(first_block_frames=1), "expected blocks of"),
}
TABLES = {
    "a block twice": ("ids", lambda ids: ids.view(4, -1)[1].copy_(ids.view(4, -1)[0]), "a block"),
    "no text": ("ids", lambda ids: ids.fill_(255), "codec"),
    "long ids": ("id_bytes", lambda lengths: lengths.add_(1), "do not fit each other"),
    "negative ids": ("id_bytes", lambda lengths: lengths[:2].copy_(ends(-1, 49)), "do not fit"),
    "another prompt": ("block_contexts", lambda numbers: numbers.add_(1), "without a prompt"),
    "a negative prompt": ("block_contexts", lambda numbers: numbers[1].fill_(-1), "without a"),
    "another switch": ("block_switches", lambda switches: switches[1].fill_(9), "number 9"),
    "more tokens": ("context_tokens", lambda tokens: tokens.add_(1), "does not hold 6 tokens"),
    "negative tokens": ("context_tokens", lambda tokens: tokens.fill_(-5), "do not fit"),
}


def ends(*values):
    return torch.tensor(values, dtype=torch.int32)


OF_VERSION = {"3": CHANGES | LISTED, "4": CHANGES | TABLED}


@pytest.mark.parametrize(
    ("version", "name"),
    [(version, name) for version, changes in OF_VERSION.items() for name in sorted(changes)],
)
def test_a_header_with_valid_checksums_that_describes_no_stream(path, refusal, version, name):
    change, message = OF_VERSION[version][name]
    rewrite(path, change)
    assert message in refusal()


@pytest.mark.parametrize("version", ["4"])
@pytest.mark.parametrize("name", sorted(TABLES))
def test_a_table_with_a_valid_checksum_that_describes_no_stream(path, refusal, version, name):
    table, change, message = TABLES[name]
    header, data = parts(path)
    data = bytearray(data)
    entry = header[table]
    start, end = entry["data_offsets"]
    dtype = getattr(torch, json.loads(header["__metadata__"]["stream"])["tensors"][table][0])
    changed = torch.frombuffer(bytearray(data[start:end]), dtype=dtype)
    change(changed)
    data[start:end] = changed.numpy().tobytes()
    put(path, header, bytes(data))
    rewrite(path, lambda m, s: s["checksums"].update({table: zlib.crc32(data[start:end])}))
    assert message in refusal()


def test_what_earlier_versions_saved_and_then_refused_opens(path, state):
    """Values that they took for a stream, but not from a file."""
    odd = state.light()._replace(seed=2**64, snapshot=None)
    odd = odd._replace(
        history=tuple(
            block._replace(latents=block.latents.half(), context=context)
            for block, context in zip(
                odd.history,
                [torch.ones(1, 2, 12).long(), *[torch.empty(1, 0, 12)] * (odd.blocks - 1)],
                strict=True,
            )
        )
    )
    save_version_3(odd, path)
    timesteps = [1000 - n / 2 for n in range(1001)]
    rewrite(path, lambda m, s: s["recipe"].update(window=9.0, timesteps=timesteps))
    loaded = cv.load_stream(path)
    assert loaded.seed == 2**64 and type(loaded.recipe.window) is int
    assert len(loaded.recipe.timesteps) == 1001
    for block, own in zip(loaded.history, odd.history, strict=True):
        assert torch.equal(block.latents, own.latents.float())
        assert torch.equal(block.context, own.context.float())
    cv.save_stream(loaded, path)
    assert same(cv.load_stream(path), loaded)


def test_an_infinite_number_is_refused(path, refusal):
    header, data = parts(path)
    stream = header["__metadata__"]["stream"].replace('"shift": 8.0', '"shift": 1e999')
    header["__metadata__"] |= {"stream": stream, "checksum": str(zlib.crc32(stream.encode()))}
    put(path, header, data)
    assert "shift is inf" in refusal()
