"""Streams and latents decoded in a real ComfyUI: in chains, files and cuts, against its own VAE."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hosting.client import Run
from hosting.graph import Prompt
from hosting.host import Host
from safetensors.torch import load_file
from torch import Tensor

from .prompts import cancel, facts, mini_prompt, node

OTHER = "a small blue square moving left over a white background"


def decode_node(**changes: Any) -> dict[str, Any]:
    return node("CausVid_StreamDecode", **({"vae": ["mini", 2], "frames": "new"} | changes))


def chain(**changes: Any) -> Prompt:
    """Two text to video nodes, a decoder of what is new behind each, and the whole both ways."""
    prompt = mini_prompt(px_frames=9, **changes)
    inputs = prompt["video"]["inputs"]
    del prompt["look"]
    prompt |= {
        "new_1": decode_node(stream=["video", 0]),
        "second": node("CausVid_TextToVideo", **(inputs | {"stream": ["new_1", 1]})),
        "new_2": decode_node(stream=["second", 0]),
        "whole": decode_node(stream=["new_2", 1], frames="whole"),
        "theirs": node("VAEDecode", samples=["second", 1], vae=["mini", 2]),
    }
    prompt["second"]["inputs"]["px_frames"] = 24
    for name in ("new_1", "new_2", "whole", "theirs"):
        prompt[f"keep_{name}"] = node("DecodeProbe_Keep", image=[name, 0])
    return prompt


def kept(run: Run, name: str) -> Tensor:
    """The IMAGE that a node gave, [T, H, W, 3]."""
    return load_file(Path(facts(run, f"keep_{name}")))["image"]


def run_both_ways(host: Host, prompt: Prompt, within: float) -> None:
    """The nodes "look" and "theirs" must give the same IMAGE, but for `within`."""
    for name in ("look", "theirs"):
        prompt[f"keep_{name}"] = node("DecodeProbe_Keep", image=[name, 0])
    run = host.run(prompt)
    assert run.status == "success", run.error
    theirs = kept(run, "theirs").clamp(0, 1)
    torch.testing.assert_close(kept(run, "look"), theirs, atol=within, rtol=0)


def notice(run: Run, node_id: str) -> str:
    return [n.text for n in run.notices if n.node_id == node_id][-1]


def test_every_way_of_cutting_gives_what_the_host_gives(host: Host) -> None:
    seen = facts(host.run({"look": node("DecodeProbe_CompareStreams")}))
    assert seen["decode"] < 1e-4 and seen["encode"] < 1e-4 * max(1, seen["size"])


@pytest.mark.parametrize("decoder_gb", [2.0, 0.0])
def test_a_chain_is_decoded_without_a_seam(host: Host, decoder_gb: float) -> None:
    """What comes after is decoded alone, and joined it is the whole to the bit."""
    prompt = chain()
    prompt["new_1"]["inputs"]["decoder_gb"] = decoder_gb
    run = host.run(prompt)
    assert run.status == "success", run.error
    assert "The next node takes the KV cache over on the device" in notice(run, "video")
    said = "STREAM carries the decoder" if decoder_gb else "STREAM does not carry the decoder"
    assert said in notice(run, "new_1")
    check_joined(run, kept(run, "new_1"), again=not decoder_gb)


@pytest.mark.parametrize("contents", ["exact", "light"])
def test_a_chain_goes_on_from_a_file_without_a_seam(host: Host, contents: str) -> None:
    prompt = chain(seed=1)
    prompt["save"] = node(
        "CausVid_SaveStream",
        stream=["new_1", 1],
        filename_prefix="streams/decoded",
        contents=contents,
    )
    begin = {n: prompt[n] for n in ("mini", "text", "video", "new_1", "keep_new_1", "save")}
    first = host.run(begin)
    assert first.status == "success", first.error
    file = "{subfolder}/{filename} [output]".format(**first.outputs["save"]["streams"][0])
    for name in begin.keys() - {"mini", "text"}:
        del prompt[name]
    prompt["loaded"] = node("CausVid_LoadStream", file=file)
    prompt["second"]["inputs"]["stream"] = ["loaded", 0]
    run = host.run(prompt)
    assert run.status == "success", run.error
    check_joined(run, kept(first, "new_1"), again=contents == "light")


def check_joined(run: Run, start: Tensor, again: bool) -> None:
    """The frames before and the new ones are the whole, ours and the host's."""
    new, whole, theirs = (kept(run, name) for name in ("new_2", "whole", "theirs"))
    assert (len(start), len(new), len(whole)) == (9, 24, 33)
    assert torch.equal(torch.cat([start, new]), whole)
    torch.testing.assert_close(whole, theirs.clamp(0, 1), atol=1e-4, rtol=0)
    said = notice(run, "new_2")
    assert ("3 latent frames before the new ones were decoded again" in said) == again
    assert "24 frames of 64x64 px" in said


def test_a_cut_begins_with_a_frame_of_its_own(host: Host) -> None:
    """The last scene looks as if it were a video of its own: three frames fewer."""
    prompt = chain(seed=1, switch="cut")
    prompt["other"] = node("CLIPTextEncode", clip=["mini", 1], text=OTHER)
    prompt["second"]["inputs"]["positive"] = ["other", 0]
    prompt["tail"] = node("DecodeProbe_TailLatent", latent=["second", 1], latent_frames=6)
    prompt["theirs"]["inputs"]["samples"] = ["tail", 0]
    run = host.run(prompt)
    assert run.status == "success", run.error
    start, new, whole, scene = (kept(run, n) for n in ("new_1", "new_2", "whole", "theirs"))
    assert (len(start), len(new), len(whole)) == (9, 21, 30)
    assert torch.equal(torch.cat([start, new]), whole)
    torch.testing.assert_close(new, scene.clamp(0, 1), atol=1e-4, rtol=0)
    assert "30 frames of 64x64 px" in notice(run, "whole")


def test_a_latent_gives_what_vae_decode_gives(host: Host) -> None:
    prompt = mini_prompt(px_frames=21, seed=1)
    prompt["look"] = decode_node(latent=["video", 1])
    prompt["theirs"] = node("VAEDecode", samples=["video", 1], vae=["mini", 2])
    run_both_ways(host, prompt, within=1e-4)
    prompt["on"] = node("CausVid_StreamInfo", stream=["look", 1])
    run = host.run(prompt)
    assert run.status == "error" and "returns a STREAM only if stream is connected" in run.error


def test_a_tiny_decoder_gives_what_the_hosts_gives(host: Host) -> None:
    """As a class on the same weights, and as a file through both loaders."""
    seen = facts(host.run({"look": node("DecodeProbe_CompareTiny")}))
    assert seen["shapes"] == [[2, 3, 13, 24, 32]] * 2
    assert seen["difference"] < 1e-4 and seen["within"] > 0.2
    prompt = mini_prompt(px_frames=21, seed=1)
    file = "lighttaew2_1.safetensors"
    prompt["look"] = decode_node(stream=["video", 0], tiny_decoder=file)
    del prompt["look"]["inputs"]["vae"]
    prompt["loaded"] = node("VAELoader", vae_name=file)
    prompt["theirs"] = node("VAEDecode", samples=["video", 1], vae=["loaded", 0])
    run_both_ways(host, prompt, within=1e-3)


def test_after_a_cancel_the_stream_is_decoded_whole(host: Host) -> None:
    prompt = chain()
    assert host.run(prompt, cancel(host, "new_2", 2)).status == "interrupted"
    run = host.run(prompt)
    assert {"video", "second", "new_1"} <= run.cached
    joined = torch.cat([kept(run, "new_1"), kept(run, "new_2")])
    assert torch.equal(joined, kept(run, "whole"))


REFUSED = [
    ({}, "Neither stream nor latent is connected"),
    ({"stream": ["video", 0], "latent": ["video", 1]}, "Both stream and latent are connected"),
    ({"stream": ["video", 0], "vae": None}, "Connect a VAE, or choose a tiny_decoder"),
    ({"stream": ["video", 0], "vae": ["other", 0]}, "VAE is linear.Linear"),
    ({"latent": ["picture", 0]}, "A Wan 2.1 video has (batch, 16, latent frames"),
    ({"latent": ["huge", 0]}, "Use CausVid Render to Video"),
    ({"stream": ["new", 1]}, "Set frames to whole"),
]


@pytest.mark.parametrize(("changes", "sentence"), REFUSED, ids=range(len(REFUSED)))
def test_refusals(refusal: Any, changes: dict[str, Any], sentence: str) -> None:
    prompt = mini_prompt(px_frames=9, seed=1)
    prompt |= {
        "other": node("MediaProbe_OtherVAE"),
        "picture": node("EmptyLatentImage", width=64, height=64, batch_size=1),
        "huge": node("DecodeProbe_HugeLatent"),
        "new": decode_node(stream=["video", 0]),
        "look": decode_node(**changes),
    }
    inputs = prompt["look"]["inputs"]
    prompt["look"]["inputs"] = {key: value for key, value in inputs.items() if value is not None}
    prompt["keep"] = node("DecodeProbe_Keep", image=["look", 0])
    assert sentence in refusal(prompt, "look")
