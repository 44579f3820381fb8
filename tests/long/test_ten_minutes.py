"""Ten minutes of Mini video straight into a file, in a process of its own."""

import json
import os
import subprocess
import sys
from pathlib import Path

import av

ROOT = Path(__file__).resolve().parents[2]
MINUTES, PX_FRAMES, BLOCKS = 10, 9609, 801
GROWTH = 12e6  # bytes: what an allocator's own bookkeeping may take; the frames are 118 MB

# The Mini's own weights and window, with two steps a block instead of four, to be done sooner.
RENDER = """
import json, sys
from dataclasses import replace

import torch
from measuring.parts import held_bytes

from causvid_core import recipes, rollout, start
from causvid_core.media.background_writer import VideoWriter
from causvid_core.media.writer import VideoFile
from causvid_core.media.film import Film
from causvid_core.media.wan_stream import WanDecoder
from causvid_core.render.models import load_models
from causvid_core.render.request import RenderRequest
from causvid_core.storage.disk import DiskStore

blocks, folder = int(sys.argv[1]), sys.argv[2]
models = load_models(RenderRequest(recipe="causvid-mini-endless", device="cpu"))
recipe = replace(recipes["causvid-mini-endless"], timesteps=(1000, 650))
state = start(recipe, models.model, height=8, width=8, seed=1)
context = models.encode("a large red circle moving right over a navy gradient background")
held = []
with VideoWriter(VideoFile(folder + "/ten.mp4", width=64, height=64)) as writer:
    with Film(WanDecoder(models.vae), "cpu", writer.write) as film:
        film.begin(state, 0)
        for block in rollout(models.model, state, context, blocks, store=DiskStore(folder, 2**20)):
            film.add(block)
            if block.index % 50 == 0:
                held.append(held_bytes())
print(json.dumps({"held": held, "latents": list(block.state.latents.shape)}))
"""


def test_ten_minutes_take_no_more_memory_than_half_a_minute(tmp_path: Path) -> None:
    paths = f"import sys; sys.path[:0] = [{str(ROOT)!r}, {str(ROOT / 'scripts')!r}]\n"
    command = [sys.executable, "-c", paths + RENDER, str(BLOCKS), str(tmp_path)]
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # of little use to so small a model
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=alone)
    told = json.loads(done.stdout)
    held = told["held"]
    assert told["latents"] == [1, 16, 3 * BLOCKS, 8, 8]
    assert max(held[2:]) - held[1] < GROWTH, [round(bytes_ / 1e6, 1) for bytes_ in held]
    with av.open(str(tmp_path / "ten.mp4")) as container:
        stream = container.streams.video[0]
        assert stream.frames == PX_FRAMES and float(stream.duration * stream.time_base) > 600
        container.seek(580 * 1_000_000)
        late = next(container.decode(stream)).to_ndarray(format="rgb24")
    assert late.std() > 5  # there is a picture
