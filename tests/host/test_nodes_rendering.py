"""Text to video in a real ComfyUI: what it makes, when it works again, what it tells meanwhile."""

from pathlib import Path
from typing import Any

from hosting.host import Host
from PIL import Image

from .prompts import cancel, facts, mini_prompt, node, recipe_node


def test_a_prompt_becomes_a_latent_of_whole_blocks(look: Any) -> None:
    seen = look(mini_prompt(seconds=2.0, seed=7))
    assert seen["shape"] == [1, 16, 9, 8, 8] and seen["blocks"] == 3 and seen["seed"] == 7
    assert seen["finite"]


def test_nothing_stays_on_the_device(look: Any) -> None:
    seen = look(mini_prompt())
    assert seen["ring"] is False and seen["devices"] == ["cpu"]


def test_the_same_seed_gives_the_same_video_and_another_another(host: Host, look: Any) -> None:
    first = look(mini_prompt(seed=11))
    host.client.free()
    assert look(mini_prompt(seed=11))["digest"] == first["digest"]
    assert look(mini_prompt(seed=12))["digest"] != first["digest"]


def test_an_unchanged_graph_is_answered_from_the_cache(host: Host) -> None:
    prompt = mini_prompt()
    assert "video" in host.run(prompt).executed
    again = host.run(prompt)
    assert "video" in again.cached and "video" not in again.executed
    prompt["video"]["inputs"]["seed"] += 1
    changed = host.run(prompt)
    assert "video" in changed.executed and "mini" in changed.cached


def test_a_stream_goes_on_as_if_never_cut(host: Host, look: Any) -> None:
    whole = look(mini_prompt(px_frames=33, seed=21))  # 3 blocks
    prompt = mini_prompt(px_frames=9, seed=21)
    first = prompt["video"]["inputs"]
    prompt["second"] = node(
        "CausVid_TextToVideo", **(first | {"stream": ["video", 0], "px_frames": 12, "seed": 99})
    )
    prompt["third"] = node(
        "CausVid_TextToVideo", **(first | {"stream": ["second", 0], "px_frames": 12, "seed": 98})
    )
    prompt["look"]["inputs"] = {"latent": ["third", 1], "stream": ["third", 0]}
    pieces = look(prompt)
    assert pieces["blocks"] == 3 and pieces["digest"] == whole["digest"]
    prompt["third"]["inputs"]["px_frames"] = 24
    assert look(prompt)["blocks"] == 4


def test_a_length_between_blocks_is_rounded_up_and_said(host: Host) -> None:
    run = host.run(mini_prompt(px_frames=14))
    assert facts(run)["shape"][2] == 6
    rounded = "Rounded up from 14 frames to whole blocks of 3 latent frames."
    text = f"21 frames (1.3 s) in 2 blocks. {rounded}"
    first, last = (notice.text for notice in run.notices if notice.node_id == "video")
    assert first == text and last.startswith(f"{text} STREAM carries its KV cache (")


def test_a_connected_recipe_decides(host: Host) -> None:
    prompt = mini_prompt(recipe=["recipe", 0], px_frames=17)
    prompt["recipe"] = recipe_node(frames_per_block=1, timesteps="1000, 500")
    run = host.run(prompt)
    assert facts(run)["blocks"] == 5
    assert run.progress("video")[-1][1] == 5 * 3 - 1


def test_two_prompts_make_two_videos(look: Any) -> None:
    prompt = mini_prompt(positive=["many", 0])
    prompt["many"] = node("Probe_MakeConditioning", batch=2, width=4096, options="{}")
    assert look(prompt)["shape"][0] == 2


def test_other_shapes_than_square(look: Any) -> None:
    assert look(mini_prompt(width=96, height=48))["shape"] == [1, 16, 6, 6, 12]


def test_progress_counts_every_step_and_shows_frames(host: Host) -> None:
    run = host.run(mini_prompt(seconds=2.0))
    counts = run.progress("video")
    values = [value for value, _ in counts]
    assert values == sorted(values)
    assert values[-1] == counts[-1][1] == 3 * 5 - 1  # 3 blocks of 4 steps, 2 clean passes
    previews = [p for p in run.previews if p.node_id == "video"]
    assert previews and all(p.image_type == "image/jpeg" for p in previews)


def test_previews_are_large_enough_to_see_and_not_too_many(host: Host, tmp_path: Path) -> None:
    run = host.run(mini_prompt(seconds=6.0, width=96))
    previews = [p for p in run.previews if p.node_id == "video"]
    assert 2 <= len(previews) <= len(run.progress("video"))
    (tmp_path / "preview.jpg").write_bytes(previews[-1].data)
    with Image.open(tmp_path / "preview.jpg") as image:
        assert image.width >= 256 and image.width > image.height


def test_stills_come_at_a_bounded_rate_and_at_the_end(host: Host) -> None:
    taken = facts(host.run({"look": node("Probe_CountStills")}))
    assert taken == [*range(0, 30, 4), 30]


def test_cancel_works_within_a_step_and_the_next_run_is_whole(host: Host) -> None:
    prompt = mini_prompt(width=448, height=256, seconds=60.0)
    reported: list[Any] = []

    def press_cancel(message: Any) -> None:
        if not isinstance(message, dict) or message["type"] != "progress":
            return
        if message["data"]["node"] == "video":
            reported.append(message)
            if len(reported) == 1:
                host.client.interrupt()

    assert host.run(prompt, press_cancel).status == "interrupted"
    assert len(reported) == 1
    assert facts(host.run(mini_prompt()))["finite"]


def test_five_runs_leave_memory_flat(host: Host) -> None:
    tensors, resident = [], []
    for _ in range(5):
        assert host.run(mini_prompt(width=128, height=128)).status == "success"
        tensors.append(facts(host.run({"look": node("Probe_CountTensors")}))["bytes"])
        resident.append(host.memory())
    assert tensors[1:] == tensors[1:2] * 4
    assert resident[-1] - resident[0] < 100e6  # the allocator of the process moves on its own


def test_cancelled_runs_leave_nothing(host: Host) -> None:
    def alive() -> int:
        return facts(host.run({"look": node("Probe_CountTensors")}))["bytes"]

    long = mini_prompt(width=256, height=256, seconds=60.0)
    assert host.run(long, cancel(host)).status == "interrupted"
    before = alive()
    for _ in range(3):
        long["video"]["inputs"]["seed"] += 1
        assert host.run(long, cancel(host)).status == "interrupted"
    assert alive() <= before
