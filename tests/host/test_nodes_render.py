"""Render to Video in a real ComfyUI: the file against the stream, and what becomes of both."""

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import torch
from hosting.client import Run
from hosting.graph import Prompt
from hosting.host import Host

import causvid_core as cv
from causvid_core.media.vae import LATENT_MEAN, LATENT_STD
from causvid_core.media.writer_codecs import CODECS
from causvid_core.stream.state import StreamState

from .media import clip, decode
from .prompts import cancel, facts, mini_prompt, node

BLOCK, TWO_BLOCKS = 9, 21  # px frames
CODEC_ERROR = 0.02
WORKFLOW = {"nodes": [], "note": "r\u00e9gl\u00e9"}


def render_prompt(**changes: Any) -> Prompt:
    """The Mini, a prompt, Render to Video of two blocks and its stream in a file."""
    prompt = mini_prompt()
    shared = {key: prompt["video"]["inputs"][key] for key in ("model", "positive", "seed")}
    prompt["video"] = node(
        "CausVid_RenderToVideo",
        **(
            {
                **shared,
                "vae": ["mini", 2],
                "width": 64,
                "height": 64,
                "minutes": 1.1 / 60,
                "codec": "h264",
                "quality": 90,
                "filename_prefix": "video/test",
                "frames": "whole",
                "strength": 0.7,
                "fit": "crop",
                "fps": 16.0,
                "pixel_format": "auto",
            }
            | changes
        ),
    )
    prompt["look"] = node(
        "CausVid_SaveStream",
        stream=["video", 0],
        contents="light",
        filename_prefix="streams/rendered",
    )
    return prompt


def file_of(host: Host, run: Run, node_id: str = "video") -> Path:
    """The video that a node shows."""
    assert run.status == "success", run.error
    [entry] = run.outputs[node_id]["images"]
    assert run.outputs[node_id]["animated"] == [True] and entry["type"] == "output"
    return host.path(entry)


def stream_of(host: Host, run: Run, node_id: str = "look") -> StreamState:
    [entry] = run.outputs[node_id]["streams"]
    return cv.load_stream(host.path(entry))


def frames(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([f.to_ndarray(format="rgb24") for f in container.decode(video=0)]) / 255


def difference(found: np.ndarray, wanted: torch.Tensor) -> float:
    assert found.shape == tuple(wanted.shape)
    return float(np.abs(found - wanted.numpy()).mean())


def test_the_file_is_the_decoded_stream(host: Host) -> None:
    run = host.run(render_prompt())
    stream = stream_of(host, run)
    found = frames(file_of(host, run))
    assert stream.blocks == 2 and len(found) == TWO_BLOCKS
    assert difference(found, decode(stream.latents)) < CODEC_ERROR
    notices = [notice.text for notice in run.notices if notice.node_id == "video"]
    assert notices[-1].startswith("video/test_") and "21 frames (1.3 s)" in notices[-1]


def test_the_hosts_loader_gets_the_video_and_the_workflow(host: Host) -> None:
    prompt = render_prompt()
    prompt["probe"] = node("MediaProbe_Video", video=["video", 1])
    run = host.client.run(prompt, extra_data={"extra_pnginfo": {"workflow": WORKFLOW}})
    seen = facts(run, "probe")
    assert seen["shape"] == [TWO_BLOCKS, 64, 64, 3] and seen["fps"] == 16
    assert json.loads(seen["metadata"]["workflow"]) == WORKFLOW
    stored = json.loads(seen["metadata"]["prompt"])
    assert stored["video"]["class_type"] == "CausVid_RenderToVideo"
    assert abs(seen["mean"] - decode(stream_of(host, run).latents).mean().item()) < CODEC_ERROR


def test_every_codec_of_the_build_after_another_node(host: Host) -> None:
    """Each continues the same stream; the files hold what they add, then the whole."""
    prompt = render_prompt(seed=77)
    first = prompt.pop("video")["inputs"]
    prompt["begun"] = mini_prompt(px_frames=BLOCK, seed=77)["video"]
    offered = host.object_info["CausVid_RenderToVideo"]["input"]["required"]["codec"]
    codecs = offered[1]["options"] if isinstance(offered[0], str) else offered[0]
    assert {"h264", "vp9"} <= set(codecs) <= set(CODECS)
    more = {"stream": ["begun", 0], "minutes": 0.5 / 60, "quality": 100}
    for codec in codecs:
        prompt[codec] = node(
            "CausVid_RenderToVideo", **(first | more | {"codec": codec, "frames": "new"})
        )
    prompt["all"] = node("CausVid_RenderToVideo", **(first | more))
    prompt["look"]["inputs"]["stream"] = ["all", 0]
    run = host.run(prompt)
    whole = decode(stream_of(host, run).latents)
    assert difference(frames(file_of(host, run, "all")), whole) < CODEC_ERROR
    for codec in codecs:
        path = file_of(host, run, codec)
        assert path.suffix == CODECS[codec].suffix
        assert difference(frames(path), whole[BLOCK:]) < CODEC_ERROR, codec


def test_it_makes_what_the_other_nodes_make(host: Host, look: Any) -> None:
    prompt = mini_prompt(px_frames=TWO_BLOCKS, seed=31)
    rendered = render_prompt(seed=31)
    prompt["render"], prompt["keep"] = rendered["video"], rendered["look"]
    prompt["keep"]["inputs"]["stream"] = ["render", 0]
    prompt["decoded"] = node(
        "CausVid_StreamDecode", stream=["render", 0], vae=["mini", 2], frames="whole"
    )
    run = host.run(prompt)
    shape, values = facts(run)["shape"], facts(run)["values"]
    ours = stream_of(host, run, "keep").latents
    mean, std = (torch.tensor(v).view(1, -1, 1, 1, 1) for v in (LATENT_MEAN, LATENT_STD))
    theirs = (torch.tensor(values).view(shape) - mean) / std
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_footage_is_made_over_into_a_file(host: Host, video: Any) -> None:
    prompt = render_prompt(video=["file", 0], strength=0.0, minutes=0.0)
    prompt["file"], shown = video(clip(21))
    run = host.run(prompt)
    found = frames(file_of(host, run))
    assert found.shape == tuple(shown.shape)
    assert difference(found, decode(stream_of(host, run).latents)) < CODEC_ERROR


def test_the_file_is_as_long_as_its_footage(host: Host, video: Any) -> None:
    """One second stays one second, also behind a stream; the last block is made whole."""
    prompt = render_prompt(video=["file", 0], strength=0.0, minutes=0.0)
    prompt["file"], shown = video(clip(16))
    run = host.run(prompt)
    assert stream_of(host, run).px_frames == TWO_BLOCKS
    assert difference(frames(file_of(host, run)), shown) < 2 * CODEC_ERROR
    assert "16 frames (1.0 s)" in [n.text for n in run.notices if n.node_id == "video"][-1]
    prompt["first"] = mini_prompt(px_frames=BLOCK)["video"]
    for which, length in (("whole", BLOCK + 16), ("new", 16)):
        prompt["video"]["inputs"] |= {"stream": ["first", 0], "frames": which}
        assert len(frames(file_of(host, host.run(prompt)))) == length


def test_a_file_may_keep_the_rate_of_its_footage(host: Host, video: Any) -> None:
    prompt = render_prompt(video=["file", 0], strength=0.0, minutes=0.0, keep_rate=True)
    prompt["file"], shown = video(clip(30), fps=30000 / 1001)
    path = file_of(host, host.run(prompt))
    with av.open(str(path)) as container:
        assert container.streams.video[0].average_rate == Fraction(30000, 1001)
    assert difference(frames(path), shown) < 2 * CODEC_ERROR


def test_cancel_leaves_a_video_that_plays_and_nothing_else(host: Host) -> None:
    prompt = render_prompt(minutes=10.0, filename_prefix="video/cancelled")
    run = host.run(prompt, cancel(host, "video", 3 * 5 + 2))
    assert run.status == "interrupted"
    [path] = (host.base / "output/video").glob("cancelled_*.mp4")
    found = frames(path)
    assert len(found) >= BLOCK + 2 * 12 and len(found) % 12 == BLOCK
    notices = [notice.text for notice in run.notices if notice.node_id == "video"]
    assert notices[-1].endswith("The render was stopped before its end.")
    prompt["video"]["inputs"] |= {"minutes": (len(found) - 1) / 16 / 60}
    again = host.run(prompt)
    assert difference(found, torch.from_numpy(frames(file_of(host, again)))[: len(found)]) < 1e-3
    assert not list((host.base / "temp").rglob("latents-*"))


def test_what_makes_no_file_is_refused_before_anything_runs(host: Host, refusal: Any) -> None:
    def rejected(**changes: Any) -> str:
        prompt = render_prompt(**changes)
        status, answer = host.client.post("/validate", {"prompt": prompt})
        assert status == 400
        return json.dumps(answer)

    assert "leads out of ComfyUI's output folder" in rejected(filename_prefix="../../x")
    assert "choose auto, yuv422p10le" in rejected(codec="prores", pixel_format="yuv420p")
    assert "Use a multiple of 16" in rejected(width=100)
    assert "minutes is 0" in refusal(render_prompt(minutes=0.0))
