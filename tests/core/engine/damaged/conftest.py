"""A stream, its file in each format, and how a file must be refused."""

import tracemalloc

import pytest
import torch

import causvid_core as cv
from causvid_core.storage import safetensors_file, stream_tables
from causvid_core.stream import DecoderMemory, snapshot

from ..stream_files import save_version_3
from ..streams import SIZE


@pytest.fixture(scope="module")
def state():
    from ..conftest import make_model

    model, context = make_model(), torch.ones(1, 5, 12)
    recipe = cv.Recipe(timesteps=(1000,), window=9, sink=3)
    state = list(cv.rollout(model, cv.start(recipe, model, **SIZE), context, 4))[-1].state
    return snapshot(state)._replace(decoder=DecoderMemory("wan", 2, (torch.ones(1, 3),)))


@pytest.fixture(params=["3", "4"])
def version(request):
    return request.param


@pytest.fixture
def path(state, tmp_path, version, monkeypatch):
    """A file of each format; in version 4, of two blocks a chunk."""
    path = tmp_path / "stream.safetensors"
    monkeypatch.setattr(stream_tables, "CHUNK_BYTES", 2 * state.history[0].latents.nbytes)
    save = save_version_3 if version == "3" else cv.save_stream
    save(state, path, {"workflow": '{"nodes": []}'})
    return path


@pytest.fixture
def refusal(path, monkeypatch):
    """Loads the file, which must be refused; returns the sentence. Watches memory."""

    def load():
        taken = []
        empty = torch.empty

        def counting(*shape, **options):
            made = empty(*shape, **options)
            taken.append(made.nbytes)
            return made

        size = path.stat().st_size
        held = min(size, safetensors_file.LIMITS.header_bytes)
        tracemalloc.start()
        try:
            with monkeypatch.context() as patch, pytest.raises(ValueError) as caught:
                patch.setattr(safetensors_file.torch, "empty", counting)
                cv.load_stream(path)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 12 * held + 2e6 and sum(taken) <= size
        assert str(caught.value).startswith("stream.safetensors ")
        return str(caught.value)

    return load
