"""The Mini's templates, rendered in both ComfyUI releases as an artist would, only shorter."""

import json
from typing import Any

import pytest
from hosting.client import Run
from hosting.graph import MUTED, Prompt
from hosting.host import Host

from causvid_core.media.video import read_frames

BLOCK, FOUR_BLOCKS = 9, 45  # px frames; one block, which later in a stream is 12, and four
VIDEOS = {
    "extend_a_story": {"causvid_story": 33},
    "branch_two_endings": {"causvid_ending_1": 21, "causvid_ending_2": 21},
    "image_to_video": {"causvid_from_image": 21},
    "video_to_video": {"causvid_made_over": 9, "causvid_before_and_after": 9},
    "prompt_travel": {"causvid_prompt_travel": 45},
    "save_and_resume": {"causvid_today": 9},
    "endless": {"causvid_endless": 45},
    "extend_footage": {"causvid_extended": 21},
    "render_to_a_file": {"causvid_render": 45},
    "story_in_clips": {"causvid_clip_1": 9, "causvid_clip_2": 12, "causvid_clip_3": 9},
    "batch_from_a_list": {
        "001_red_circle_1": 9,
        "002_yellow_star_2": 9,
        "003_green_square_3": 9,
        "004_purple_ring_4": 9,
    },
}


def short_prompt(host: Host, name: str) -> Prompt:
    """A template's prompt, of as few blocks as show what it is about."""
    prompt = host.prompt(name)
    for node in prompt.values():
        if "px_frames" in node["inputs"]:
            scheduled = "prompts" in node["inputs"]
            node["inputs"]["px_frames"] = FOUR_BLOCKS if scheduled else BLOCK
        if "minutes" in node["inputs"]:
            node["inputs"]["minutes"] = FOUR_BLOCKS / 16 / 60
    return prompt


def called(prompt: Prompt, title: str) -> str:
    """The id of the node with a title."""
    [found] = [key for key, node in prompt.items() if node["_meta"]["title"] == title]
    return found


def looked_at(host: Host, prompt: Prompt, *titles: str) -> tuple[Run, list[dict[str, Any]]]:
    """A run that must succeed, and facts about the latents of the nodes with these titles."""
    for number, title in enumerate(titles):
        latent = [called(prompt, title), 1]
        prompt[f"look_{number}"] = {
            "class_type": "Probe_Look",
            "inputs": {"latent": latent},
            "_meta": {"title": "look"},
        }
    run = host.run(prompt)
    assert run.status == "success", run.error
    facts = [run.outputs[f"look_{number}"]["text"][0] for number in range(len(titles))]
    return run, [json.loads(text) for text in facts]


@pytest.mark.parametrize("name", VIDEOS)
def test_a_template_renders_its_videos(host: Host, name: str) -> None:
    run = host.run(short_prompt(host, name))
    assert run.status == "success", run.error
    videos = {f["filename"]: f for f in run.files() if f["filename"].endswith(".mp4")}
    found = {
        file.rsplit("_", 2)[0]: len(list(read_frames(host.path(entry))))
        for file, entry in videos.items()
    }
    assert found == VIDEOS[name]


def test_another_end_of_the_story_renders_the_end_only(host: Host) -> None:
    prompt = short_prompt(host, "extend_a_story")
    assert host.run(prompt).status == "success"
    prompt[called(prompt, "The end")]["inputs"]["text"] = "a small white star turning"
    kept = {called(prompt, title) for title in ("Shot 1", "Shot 2", "The beginning", "Then")}
    run = host.run(prompt)
    assert run.status == "success" and kept <= run.cached and not kept & set(run.executed)
    assert called(prompt, "Shot 3") in run.executed


def test_two_endings_have_one_beginning(host: Host) -> None:
    prompt = short_prompt(host, "branch_two_endings")
    _, (first, second) = looked_at(host, prompt, "Ending 1", "Ending 2")
    _, channels, frames, height, width = first["shape"]
    size = height * width

    def beginning(facts: dict[str, Any]) -> list[float]:
        values = facts["values"]
        return [
            value
            for channel in range(channels)
            for value in values[channel * frames * size : (channel * frames + 3) * size]
        ]

    assert frames == 6 and first["shape"] == second["shape"]
    assert beginning(first) == beginning(second) and first["digest"] != second["digest"]


def test_the_other_prompts_of_prompt_travel_say_the_same(host: Host) -> None:
    prompt = short_prompt(host, "prompt_travel")
    title = "One shot through all scenes"
    _, [typed] = looked_at(host, prompt, title)
    travel = called(prompt, "The same prompts from nodes")
    prompt[called(prompt, title)]["inputs"]["prompts"] = [travel, 0]
    _, [connected] = looked_at(host, prompt, title)
    assert typed["digest"] == connected["digest"]


def test_another_day_goes_on_as_if_there_had_been_no_night(host: Host) -> None:
    run = host.run(short_prompt(host, "save_and_resume"))
    assert run.status == "success", run.error
    workflow = host.workflow("save_and_resume")
    for node in workflow["nodes"]:
        node["mode"] = 0 if node.get("mode") == MUTED else node.get("mode", 0)
    prompt = host.prompt(workflow)
    for node in prompt.values():
        if "px_frames" in node["inputs"]:
            node["inputs"]["px_frames"] = BLOCK
    loader, later = called(prompt, "The saved stream"), "The story continues"
    offered = prompt[loader]["inputs"]["file"]
    files = host.client.object_info()["CausVid_LoadStream"]["input"]["required"]["file"]
    names = files[1]["options"] if isinstance(files[0], str) else files[0]
    written = [name for name in names if name.startswith("streams/causvid_story_")]
    assert offered in written  # what an artist meets who turns the second day on
    prompt[loader]["inputs"]["file"] = written[0]
    prompt.pop(called(prompt, "Save the stream"))
    _, [resumed] = looked_at(host, prompt, later)
    prompt[called(prompt, later)]["inputs"]["stream"] = [called(prompt, "Today's shot"), 0]
    _, [whole] = looked_at(host, prompt, later)
    assert resumed["shape"][2] == 6 and resumed["digest"] == whole["digest"]
