"""Prompt schedules in a real ComfyUI: what they make of a stream, and what they refuse."""

from typing import Any

import pytest
import torch
from hosting.client import PromptRejected
from hosting.graph import Prompt
from hosting.host import Host

from .prompts import mini_prompt, node

RED = "a red circle moving left over a navy background"
BLUE = "a blue square moving right over a navy background"
BLOCK = 3  # latent frames, as the Mini was trained


def options(**changes: Any) -> dict[str, Any]:
    """The widgets that both nodes have, at their defaults but for `changes`."""
    return {
        "mode": "recache",
        "transition": 0.0,
        "interpolation": "linear",
        "scene_seconds": 5.0,
    } | changes


def scheduled(text: str, px_frames: int = 45, seed: int = 5, **changes: Any) -> Prompt:
    """Text to video of a schedule, 4 blocks of it."""
    prompt = mini_prompt(prompts=["prompts", 0], px_frames=px_frames, seed=seed)
    del prompt["text"], prompt["video"]["inputs"]["positive"]
    prompt["prompts"] = node(
        "CausVid_PromptSchedule", clip=["mini", 1], text=text, **options(**changes)
    )
    return prompt


def blocks(seen: dict[str, Any]) -> tuple[torch.Tensor, ...]:
    """The latents of every block."""
    return torch.tensor(seen["values"]).view(seen["shape"]).split(BLOCK, dim=2)


def test_schedules_that_begin_alike_give_beginnings_that_are_equal_to_the_bit(look: Any) -> None:
    made = {
        mode: blocks(look(scheduled(f"0: {RED}\n2b [{mode}]: {BLUE}")))
        for mode in ("carry", "recache", "flush", "cut")
    }
    red = blocks(look(scheduled(RED)))
    for mode, parts in made.items():
        assert all(torch.equal(parts[n], red[n]) for n in (0, 1)), mode
        assert parts[2].isfinite().all() and not torch.equal(parts[2], red[2]), mode
    ends = list(made.values())
    assert not any(torch.equal(a[2], b[2]) for n, a in enumerate(ends) for b in ends[:n])


def test_a_schedule_of_one_prompt_is_that_prompt(look: Any) -> None:
    plain = mini_prompt(px_frames=21, seed=5)
    plain["text"]["inputs"]["text"] = RED
    assert look(scheduled(f"0s: {RED}", px_frames=21))["digest"] == look(plain)["digest"]


def test_a_schedule_over_a_chain_equals_one_node(look: Any) -> None:
    text = f"0: {RED}\n0.5s ~0.8s [flush]: 0.6 * {BLUE} | 0.4 * {RED}\n3b [cut]: {BLUE}"
    whole = look(scheduled(text, interpolation="spherical"))
    chain = scheduled(text, px_frames=21, interpolation="spherical")  # 2 blocks
    more = chain["video"]["inputs"] | {"stream": ["video", 0], "px_frames": 24}
    chain["more"] = node("CausVid_TextToVideo", **more)
    chain["look"]["inputs"] = {"latent": ["more", 1], "stream": ["more", 0]}
    assert look(chain)["digest"] == whole["digest"]


def test_another_prompt_takes_over_with_the_mode_of_the_schedule(look: Any) -> None:
    made = {}
    for mode in ("carry", "cut"):
        prompt = scheduled(f"0 [{mode}]: {BLUE}", px_frames=12)
        prompt["first"] = node(
            "CausVid_TextToVideo",
            **(prompt["video"]["inputs"] | {"prompts": ["red", 0], "px_frames": 21}),
        )
        prompt["red"] = node("CausVid_PromptSchedule", clip=["mini", 1], text=RED, **options())
        prompt["video"]["inputs"]["stream"] = ["first", 0]
        made[mode] = blocks(look(prompt))
    assert torch.equal(made["carry"][1], made["cut"][1])
    assert not torch.equal(made["carry"][2], made["cut"][2])


def travelling(times: str, **sockets: Any) -> Prompt:
    prompt = scheduled(RED)
    prompt["prompts"] = node("CausVid_PromptTravel", times=times, **options(), **sockets)
    for name, text in (("red", RED), ("blue", BLUE)):
        prompt[name] = node("CLIPTextEncode", clip=["mini", 1], text=text)
    return prompt


def test_travel_is_a_schedule_of_connected_prompts(look: Any) -> None:
    typed = look(scheduled(f"0: {RED}\n1b ~1b [flush]: {BLUE}\n3b: {RED}"))
    travel = travelling(
        "0\n1b ~1b [flush]\n3b\n", prompt_1=["red", 0], prompt_3=["blue", 0], prompt_8=["red", 0]
    )
    assert look(travel)["digest"] == typed["digest"]


def test_the_node_says_what_it_understood(host: Host) -> None:
    prompt = scheduled(f"0: {RED}\n1s ~1s: {BLUE}", transition=0.5)
    run = host.run(prompt)
    assert run.status == "success", run.error
    (notice,) = [notice for notice in run.notices if notice.node_id == "prompts"]
    assert notice.text.splitlines() == [
        "With 3 latent frames per block:",
        f"block 0 (0.00 s): {RED}",
        f"block 1 (0.56 s), fading in over 2 blocks, recache: {BLUE}",
    ]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (f"0: {RED}\n 3x: {BLUE}", 'Line 2, column 3: "x" is not a unit of time'),
        (f"3s: {RED}\n2s: {BLUE}", 'Line 2, column 1: "2s" is earlier than the scene in line 1'),
        ("# nothing", "Line 1, column 1: there is no prompt"),
    ],
)
def test_what_cannot_be_read_is_refused_before_anything_runs(
    host: Host, text: str, sentence: str
) -> None:
    with pytest.raises(PromptRejected, match=sentence):
        host.run(scheduled(text))


def test_times_that_cannot_be_read_are_refused_before_anything_runs(host: Host) -> None:
    prompt = travelling("0\n1s [fade]", prompt_1=["red", 0], prompt_2=["blue", 0])
    with pytest.raises(PromptRejected, match=r'Line 2, column 4: "\[fade\]" is not a mode'):
        host.run(prompt)


def test_a_linked_text_that_cannot_be_read(refusal: Any) -> None:
    prompt = scheduled(RED)
    prompt["prompts"]["inputs"]["text"] = ["string", 0]
    prompt["string"] = node("PrimitiveStringMultiline", value=f"0: {RED}\n2 [cut: {BLUE}")
    assert refusal(prompt, "prompts").startswith("Line 2, column 3: the bracket is not closed")


@pytest.mark.parametrize(
    ("times", "sockets", "sentence"),
    [
        (
            "0\n1s\n2s",
            {"prompt_1": ["red", 0], "prompt_2": ["blue", 0]},
            "times has 3 lines, but 2 prompts are connected",
        ),
        ("", {}, "No prompt is connected"),
        (
            "",
            {"prompt_1": ["red", 0], "prompt_2": ["both", 0]},
            "prompt_2: The conditioning has 2 entries",
        ),
        (
            "",
            {"prompt_1": ["red", 0], "prompt_2": ["odd", 0]},
            "prompts have embeddings of different width",
        ),
    ],
)
def test_sockets_that_do_not_fit(
    refusal: Any, times: str, sockets: dict[str, Any], sentence: str
) -> None:
    prompt = travelling(times, **sockets)
    prompt["both"] = node(
        "ConditioningCombine", conditioning_1=["red", 0], conditioning_2=["blue", 0]
    )
    prompt["odd"] = node("Probe_MakeConditioning", batch=1, width=768, options="{}")
    assert sentence in refusal(prompt, "prompts")


def test_one_of_positive_and_prompts_is_needed(refusal: Any) -> None:
    both = scheduled(RED)
    both["text"] = node("CLIPTextEncode", clip=["mini", 1], text=RED)
    both["video"]["inputs"]["positive"] = ["text", 0]
    assert "Both positive and prompts are connected" in refusal(both)
    neither = mini_prompt()
    del neither["video"]["inputs"]["positive"]
    assert "There is no prompt" in refusal(neither)


def test_a_schedule_for_another_model(refusal: Any) -> None:
    prompt = travelling("", prompt_1=["odd", 0])
    prompt["odd"] = node("Probe_MakeConditioning", batch=1, width=768, options="{}")
    assert "width 768" in refusal(prompt)
