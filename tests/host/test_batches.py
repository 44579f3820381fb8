"""Many jobs: a hundred prompts in the queue, and a whole list with one press."""

import json
from pathlib import Path
from typing import Any

import pytest
from hosting.client import PromptRejected
from hosting.graph import Prompt
from hosting.host import Host

from .prompts import SEEDS, TEXT, entry_of, facts, mini_prompt, node, recipe_node

JOBS = 100
BAD = 40
SPOT_CHECKS = (0, 57, 99)
COLOURS = ("red", "green", "blue", "white", "pink")


def job_prompt(number: int, first_seed: int) -> Prompt:
    """One block in one step, of a prompt and a seed of its own."""
    prompt = mini_prompt(px_frames=9, seed=first_seed + number, recipe=["recipe", 0])
    prompt["recipe"] = recipe_node(timesteps="1000")
    prompt["text"]["inputs"]["text"] = TEXT.replace("red", COLOURS[number % len(COLOURS)])
    return prompt


def bad_prompt(number: int, first_seed: int) -> Prompt:
    """Fails when it runs: its conditioning is not one prompt."""
    prompt = job_prompt(number, first_seed)
    prompt["video"]["inputs"]["positive"] = ["both", 0]
    prompt["both"] = node(
        "ConditioningCombine", conditioning_1=["text", 0], conditioning_2=["text", 0]
    )
    return prompt


def run_all(host: Host, prompts: list[Prompt]) -> tuple[list[dict[str, Any]], list[int]]:
    """Queues all prompts at once; their entries in the history, and memory as they end."""
    queued = []
    for prompt in prompts:
        status, answer = host.client.post("/prompt", {"prompt": prompt})
        assert status == 200, answer
        queued.append(answer["prompt_id"])
    entries, memory = [], []
    for prompt_id in queued:
        entries.append(entry_of(host, prompt_id))
        memory.append(host.memory())
    return entries, memory


def test_a_hundred_jobs_in_the_queue(host: Host, look: Any) -> None:
    """Memory stays flat, a bad job fails alone, and each result is the job's own."""
    first_seed = 1_000_000 + next(SEEDS) * JOBS
    prompts = [(bad_prompt if n == BAD else job_prompt)(n, first_seed) for n in range(JOBS)]
    entries, memory = run_all(host, prompts)
    failed = [n for n, entry in enumerate(entries) if entry["status"]["status_str"] != "success"]
    assert failed == [BAD]
    messages = dict(entries[BAD]["status"]["messages"])
    assert "The conditioning has 2 entries" in messages["execution_error"]["exception_message"]
    assert max(memory[-20:]) - max(memory[20:40]) < 40e6  # the allocator moves on its own
    digests = [facts_of(entry)["digest"] for n, entry in enumerate(entries) if n != BAD]
    assert len(set(digests)) == JOBS - 1
    host.client.free()
    for number in SPOT_CHECKS:
        alone = look(job_prompt(number, first_seed))
        assert alone["digest"] == facts_of(entries[number])["digest"]


def facts_of(entry: dict[str, Any]) -> dict[str, Any]:
    """What the probe said, from an entry of the history."""
    return json.loads(entry["outputs"]["look"]["text"][0])


def list_prompt(file: str, **widgets: Any) -> Prompt:
    """A job list through text, video, decoding and saving."""
    prompt = job_prompt(0, next(SEEDS))
    prompt["jobs"] = node(
        "CausVid_JobList",
        **(
            {
                "file": file,
                "filename_pattern": "batch/{index:03}_{prompt_slug}_{seed}",
                "seed": 5,
                "seconds": 0.5,
                "seed_step": 1,
                "first": 1,
                "count": 0,
            }
            | widgets
        ),
    )
    prompt["text"]["inputs"]["text"] = ["jobs", 0]
    prompt["video"]["inputs"] |= {"seed": ["jobs", 1], "seconds": ["jobs", 3], "px_frames": 0}
    prompt["look"]["inputs"] = {"latent": ["video", 1], "stream": ["video", 0]}
    prompt["decode"] = node("VAEDecode", vae=["mini", 2], samples=["video", 1])
    prompt["make"] = node("CreateVideo", images=["decode", 0], fps=16.0)
    prompt["save"] = node(
        "SaveVideo", video=["make", 0], filename_prefix=["jobs", 2], format="auto", codec="auto"
    )
    return prompt


def write_list(host: Host, name: str, text: str) -> Path:
    path = host.base / "input" / name
    path.write_text(text, "utf-8")
    return path


def test_one_press_makes_every_video_of_a_list(host: Host, look: Any) -> None:
    write_list(
        host,
        "jobs.csv",
        "prompt,seed,seconds,name\n"
        '"a red circle, moving left",70,,\n'
        "a blue square turning,,1.0,second\n"
        "a white ring growing,72,,\n",
    )
    run = host.run(list_prompt("jobs.csv"))
    assert run.status == "success", run.error
    assert [(file["subfolder"], file["filename"]) for file in run.files()] == [
        ("batch", "001_a_red_circle_moving_left_70_00001_.mp4"),
        ("batch", "002_a_blue_square_turning_6_00001_.mp4"),
        ("batch", "003_a_white_ring_growing_72_00001_.mp4"),
    ]
    assert all(host.path(file).stat().st_size > 500 for file in run.files())
    [told] = [notice.text for notice in run.notices if notice.node_id == "jobs"]
    names = "batch/001_a_red_circle_moving_left_70 to batch/0"
    assert told.startswith(f"3 jobs, 2.0 s in total: {names}")
    part = list_prompt("jobs.csv", first=2, count=1, filename_pattern="part/{name}")
    run = host.run(part)
    assert [file["filename"] for file in run.files()] == ["second_00001_.mp4"]
    shape = facts(run)["shape"]
    alone = mini_prompt(seconds=1.0, seed=6, recipe=["recipe", 0])
    alone["recipe"] = recipe_node(timesteps="1000")
    alone["text"]["inputs"]["text"] = "a blue square turning"
    seen = look(alone)
    assert seen["digest"] == facts(run)["digest"] and shape == seen["shape"]


def test_a_changed_list_is_read_again(host: Host) -> None:
    write_list(host, "changing.txt", "a red circle\n")
    prompt = list_prompt("changing.txt")
    assert len(host.run(prompt).files()) == 1
    assert "jobs" in host.run(prompt).cached
    write_list(host, "changing.txt", "a red circle\n# and\na blue circle\n")
    assert len(host.run(prompt).files()) == 2


@pytest.mark.parametrize(
    ("name", "text", "widgets", "sentence"),
    [
        ("a.csv", "prompt,seed\na,1\nb,x\n", {}, "a.csv: line 3, seed: found 'x', expected"),
        ("b.txt", "\n", {}, "b.txt: there is no prompt in it"),
        ("c.jsonl", '{"prompt": "a"}\n{', {}, "c.jsonl: line 2: column 2: "),
        ("d.txt", "a\nb\n", {"first": 3}, "has 2 jobs, so it cannot start with job 3"),
        ("d.txt", "a\n", {"filename_pattern": "../{index}"}, "be a file in the output folder"),
        ("d.txt", "a\n", {"filename_pattern": "{prompt.__class__}"}, "it may have {index}"),
        ("d.txt [output]", None, {}, "job list must be in ComfyUI's input folder"),
        ("../server.log", None, {}, "lies outside of ComfyUI's input folder"),
        ("/etc/passwd", None, {}, "lies outside of ComfyUI's input folder"),
        ("gone.txt", None, {}, "There is no job list 'gone.txt' in ComfyUI's input folder"),
    ],
)
def test_bad_lists_are_refused_before_anything_runs(
    host: Host, name: str, text: str | None, widgets: dict[str, Any], sentence: str
) -> None:
    if text is not None:
        write_list(host, name, text)
    with pytest.raises(PromptRejected) as caught:
        host.run(list_prompt(name, **widgets))
    assert sentence in str(caught.value)


def test_lists_in_the_input_folder_are_offered(host: Host) -> None:
    (host.base / "input" / "sub").mkdir(exist_ok=True)
    for name in ("offered.txt", "sub/offered.jsonl", "offered.png"):
        write_list(host, name, "a\n")
    schema = host.client.get("/object_info/CausVid_JobList")["CausVid_JobList"]
    kind, *rest = schema["input"]["required"]["file"]
    offered = kind if isinstance(kind, list) else rest[0]["options"]
    assert {"offered.txt", "sub/offered.jsonl"} <= set(offered)
    assert "offered.png" not in offered
    assert schema["output_is_list"] == [True] * 4
