"""Chains and branches of streams in a real ComfyUI, with its cache and its Cancel button."""

from typing import Any

import pytest
import torch
from hosting.client import Run
from hosting.graph import Prompt
from hosting.host import Host

from .prompts import cancel, facts, lora_node, mini_prompt, node, recipe_node

HANDED = "The next node takes the KV cache over on the device"
SECOND_TEXT = "a small blue square moving left over a white background"
CHAIN = ("video", "second", "third")


def chain(**changes: Any) -> Prompt:
    """Three nodes of two blocks, one after the other; `changes` to all of them."""
    prompt = mini_prompt(px_frames=21, **changes)
    inputs = prompt["video"]["inputs"]
    for before, name in zip(CHAIN, CHAIN[1:], strict=False):
        prompt[name] = node(
            "CausVid_TextToVideo", **(inputs | {"stream": [before, 0], "px_frames": 24})
        )
    prompt["look"] = node("Probe_Look", latent=["third", 1], stream=["third", 0])
    return prompt


def last_notice(run: Run, node_id: str) -> str:
    """What a node said when it was done."""
    return [notice.text for notice in run.notices if notice.node_id == node_id][-1]


@pytest.fixture(scope="module")
def whole(host: Host) -> dict[str, Any]:
    """Six blocks of one node."""
    return facts(host.run(mini_prompt(px_frames=69, seed=1)))


@pytest.mark.parametrize("keep_cache", ["exact", "recompute", "int8"])
def test_a_chain_hands_its_cache_on_and_can_go_on_without(
    host: Host, whole: dict[str, Any], keep_cache: str
) -> None:
    prompt = chain(seed=1, keep_cache=keep_cache)
    before = len(host.log())
    run = host.run(prompt)
    seen = facts(run)
    assert "recomputing" not in host.log()[before:]
    rounded = keep_cache == "int8"
    assert (seen["digest"] == whole["digest"]) != rounded and seen["blocks"] == 6
    for name in CHAIN[:2]:
        assert (HANDED in last_notice(run, name)) != rounded
        assert ("in 8 bits" in last_notice(run, name)) == rounded
    assert HANDED not in last_notice(run, "third")
    prompt["third"]["inputs"]["seed"] += 1  # a stream has its own, but the node runs again
    again = host.run(prompt)
    assert {"video", "second"} <= again.cached and facts(again)["digest"] == seen["digest"]
    prompt["look"]["inputs"] = {"latent": ["third", 1], "stream": ["video", 0]}
    assert facts(host.run(prompt))["ring"] is False


def test_another_last_prompt_renders_the_last_node_only(host: Host) -> None:
    prompt = chain()
    first = facts(host.run(prompt))
    prompt["ending"] = node("CLIPTextEncode", clip=["mini", 1], text=SECOND_TEXT)
    prompt["third"]["inputs"]["positive"] = ["ending", 0]
    changed = host.run(prompt)
    assert set(changed.executed) == {"ending", "third", "look"}
    seen = facts(changed)
    assert seen["digest"] != first["digest"]
    for name in CHAIN:
        prompt[name]["inputs"]["keep_cache"] = "recompute"
    assert facts(host.run(prompt))["digest"] == seen["digest"]


def test_two_endings_of_one_stream_do_not_disturb_each_other(host: Host) -> None:
    prompt = chain(keep_cache="recompute")
    prompt["ending"] = node("CLIPTextEncode", clip=["mini", 1], text=SECOND_TEXT)
    inputs = prompt["third"]["inputs"]
    prompt["other"] = node("CausVid_TextToVideo", **(inputs | {"positive": ["ending", 0]}))
    prompt["look_other"] = node("Probe_Look", latent=["other", 1], stream=["other", 0])
    run = host.run(prompt)
    together = facts(run)["digest"], facts(run, "look_other")["digest"]
    del prompt["look_other"], prompt["other"]
    for name in CHAIN:
        prompt[name]["inputs"]["keep_cache"] = "exact"  # so that nothing comes from the cache
    alone = [facts(host.run(prompt))["digest"]]
    inputs["positive"] = ["ending", 0]
    alone.append(facts(host.run(prompt))["digest"])
    assert together == tuple(alone)


def test_after_a_cancel_in_the_second_node_the_chain_goes_on_whole(
    host: Host, whole: dict[str, Any]
) -> None:
    prompt = chain(seed=1, cache_gb=0.5)
    assert host.run(prompt, cancel(host, "second", 3)).status == "interrupted"
    again = host.run(prompt)
    assert "video" in again.cached and facts(again)["digest"] == whole["digest"]


def test_five_queues_of_a_chain_leave_memory_flat(host: Host) -> None:
    tensors = []
    for _ in range(5):
        assert host.run(chain()).status == "success"
        tensors.append(facts(host.run({"look": node("Probe_CountTensors")}))["bytes"])
    assert tensors[1:] == tensors[1:2] * 4


def test_a_stream_goes_on_with_another_model_and_recipe_when_allowed(
    host: Host, models: Any
) -> None:
    prompt = chain()
    first = facts(host.run(prompt))
    prompt["patched"] = lora_node(0.5)
    prompt["recipe"] = recipe_node(timesteps="1000, 500")
    changes = {"model": ["patched", 0], "recipe": ["recipe", 0]}
    prompt["third"]["inputs"] |= changes
    run = host.run(prompt)
    assert run.status == "error" and "turn on allow_changes" in run.error
    prompt["third"]["inputs"]["allow_changes"] = True
    run = host.run(prompt)
    seen = facts(run)
    assert seen["blocks"] == 6 and seen["digest"] != first["digest"]
    kept = seen["shape"][2] - 6
    assert values(seen)[:, :, :kept].equal(values(first)[:, :, :kept])
    text = "The stream continues with another MODEL and recipe. Its memory is recomputed."
    assert text in [notice.text for notice in run.notices]


def values(seen: dict[str, Any]) -> torch.Tensor:
    """The latents that a probe saw, [B, 16, T, H, W]."""
    return torch.tensor(seen["values"]).reshape(seen["shape"])
