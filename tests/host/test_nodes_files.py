"""Streams saved, loaded and looked at in a real ComfyUI; names that try to leave its folders."""

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from hosting.client import PromptRejected
from hosting.host import Host
from PIL import Image
from safetensors import safe_open

from causvid_core.storage.reserve import reserve

from .prompts import SEEDS, facts, mini_prompt, node
from .test_nodes_render import render_prompt

Made = dict[str, Any]


def saved_prompt(prefix: str = "streams/test", contents: str = "light", **changes: Any) -> Any:
    prompt = mini_prompt(**{"px_frames": 17, **changes})
    prompt["save"] = node(
        "CausVid_SaveStream", stream=["video", 0], filename_prefix=prefix, contents=contents
    )
    return prompt


def only_saved(prefix: str) -> Any:
    """As `saved_prompt`, with no other output: ComfyUI runs those that it finds valid."""
    prompt = saved_prompt(prefix)
    del prompt["look"]
    return prompt


def continued_prompt(file: str, **changes: Any) -> Any:
    """Load a stream, add a block and look."""
    prompt = mini_prompt(stream=["load", 0], px_frames=12, **changes)
    prompt["load"] = node("CausVid_LoadStream", file=file)
    return prompt


@pytest.fixture(scope="module")
def saved(host: Host) -> Made:
    """A stream of two blocks in the output folder: where it is, its seed and its name."""
    seed = next(SEEDS)
    run = host.run(saved_prompt(seed=seed))
    assert run.status == "success", run.error
    [file] = run.files()
    name = f"{file['subfolder']}/{file['filename']} [output]"
    text = run.outputs["save"]["text"][0]
    return {"path": host.path(file), "seed": seed, "name": name, "text": text, "run": run}


def options(host: Host) -> list[str]:
    schema = host.client.get("/object_info/CausVid_LoadStream")["CausVid_LoadStream"]
    kind, *rest = schema["input"]["required"]["file"]
    return kind if isinstance(kind, list) else rest[0]["options"]


def test_a_stream_is_saved_where_and_as_large_as_it_says(host: Host, saved: Made) -> None:
    path = saved["path"]
    assert path.parent == host.base / "output" / "streams" and path.name.startswith("test_0")
    size = f"{path.stat().st_size / 1000:.0f} kB"
    assert saved["text"] == (
        f"streams/{path.name} in the output folder: {size}, latents and prompts"
    )
    assert any(notice.text == saved["text"] for notice in saved["run"].notices)
    assert [p.suffix for p in path.parent.iterdir()] == [".safetensors"] * len(
        list(path.parent.iterdir())
    )


def test_loaded_streams_go_on_as_if_never_put_down(host: Host) -> None:
    prompt = saved_prompt(contents="light")
    seed = prompt["video"]["inputs"]["seed"]
    prompt["exact"] = node(
        "CausVid_SaveStream",
        **(prompt["save"]["inputs"] | {"contents": "exact", "filename_prefix": "streams/exact"}),
    )
    run = host.run(prompt)
    texts = {name: run.outputs[name]["text"][0] for name in ("save", "exact")}
    assert texts["save"].endswith("latents and prompts")
    assert texts["exact"].endswith("latents, prompts, keys and values (exact)")
    whole = mini_prompt(px_frames=33, seed=seed)
    more = whole["video"]["inputs"]
    for name in texts:
        [file] = run.outputs[name]["streams"]
        file = f"{file['subfolder']}/{file['filename']} [output]"
        whole[f"load {name}"] = node("CausVid_LoadStream", file=file)
        whole[name] = node(
            "CausVid_TextToVideo",
            **(more | {"stream": [f"load {name}", 0], "px_frames": 12, "seed": 0}),
        )
        whole[f"look {name}"] = node("Probe_Look", latent=[name, 1], stream=[name, 0])
    run = host.run(whole)
    looks = [facts(run, name) for name in ("look", "look save", "look exact")]
    assert [look["blocks"] for look in looks] == [3] * 3
    assert [look["seed"] for look in looks] == [seed] * 3
    assert len({look["digest"] for look in looks}) == 1


def test_the_workflow_travels_in_the_file(host: Host) -> None:
    prompt = saved_prompt()
    workflow = {"nodes": [{"id": 1, "type": "é"}]}
    extra = {"extra_pnginfo": {"workflow": workflow}}
    run = host.client.run(prompt, extra_data=extra)
    with safe_open(host.path(run.files()[0]), "pt") as file:
        notes = file.metadata()
    assert json.loads(notes["workflow"]) == workflow
    assert json.loads(notes["prompt"])["save"]["class_type"] == "CausVid_SaveStream"


def test_the_prefix_makes_folders_and_dates(host: Host) -> None:
    run = host.run(saved_prompt("mine/%year%/%width%x%height%"))
    [file] = run.files()
    assert file["subfolder"].startswith("mine/20")
    assert file["filename"] == "64x64_00001_.safetensors"


def test_a_name_that_another_server_holds_is_passed_over(host: Host) -> None:
    """Two servers may have one output folder; this process stands for the other."""
    videos, streams = host.base / "output" / "video", host.base / "output" / "streams"
    videos.mkdir(parents=True, exist_ok=True)
    streams.mkdir(parents=True, exist_ok=True)
    prompt = saved_prompt("streams/shared")
    prompt["film"] = render_prompt(filename_prefix="video/shared")["video"]
    film, stream = videos / "shared_00001_.mp4", streams / "shared_00001_.safetensors"
    with reserve(film) as theirs, reserve(stream) as their_stream:
        run = host.run(prompt)
        assert run.status == "success", run.error
        for held in (theirs, their_stream):
            held.partial.write_bytes(b"theirs")
            held.commit()
    assert sorted(path.name for path in videos.glob("shared_*")) == [
        "shared_00001_.mp4",
        "shared_00002_.mp4",
    ]
    assert (film.read_bytes(), stream.read_bytes()) == (b"theirs", b"theirs")
    found = {file["filename"] for file in run.files()}
    assert {"shared_00002_.mp4", "shared_00002_.safetensors"} <= found
    assert not list(host.base.glob("output/**/.*causvid*"))


@pytest.mark.parametrize(
    "prefix", ["", "  ", ".", "..", "../escape", "a/../../escape", "/tmp/escape", "a\0b", "a\nb"]
)
def test_hostile_prefixes_are_refused_before_anything_runs(host: Host, prefix: str) -> None:
    with pytest.raises(PromptRejected, match="filename_prefix"):
        host.run(only_saved(prefix))
    assert not list(host.base.parent.glob("*escape*")) and not list(host.base.glob("*escape*"))


def test_a_link_out_of_the_output_folder_is_not_written_through(host: Host, tmp_path: Path) -> None:
    link = host.base / "output" / "elsewhere"
    link.symlink_to(tmp_path, target_is_directory=True)
    try:
        with pytest.raises(PromptRejected, match="leads out of ComfyUI's output folder"):
            host.run(only_saved("elsewhere/stream"))
        assert list(tmp_path.iterdir()) == []
    finally:
        link.unlink()


def test_the_list_has_streams_of_both_folders_and_nothing_else(
    host: Host, saved: Made, tmp_path: Path
) -> None:
    output, given = host.base / "output", host.base / "input"
    deep = given / "a" / "b"
    deep.mkdir(parents=True, exist_ok=True)
    shutil.copy(saved["path"], deep / "copy.safetensors")
    shutil.copy(saved["path"], tmp_path / "outside.safetensors")
    (output / "lora.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    (output / "picture.png").write_bytes(b"x")
    links = [output / "link.safetensors", output / "folder"]
    links[0].symlink_to(tmp_path / "outside.safetensors")
    links[1].symlink_to(tmp_path, target_is_directory=True)
    try:
        found = options(host)
        assert saved["name"] in found and "a/b/copy.safetensors" in found
        assert not any("lora" in f or "picture" in f or "outside" in f for f in found)
        assert "link.safetensors [output]" not in found
        assert found.index("a/b/copy.safetensors") < found.index(saved["name"])
        for name in ("link.safetensors [output]", "folder/outside.safetensors [output]"):
            with pytest.raises(PromptRejected, match="lies outside of ComfyUI's output folder"):
                host.run(continued_prompt(name))
    finally:
        for link in links:
            link.unlink()


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("gone.safetensors", "There is no stream file 'gone.safetensors' in ComfyUI's input"),
        ("gone.safetensors [output]", "in ComfyUI's output folder. Press R"),
        ("", "There is no stream file"),
        ("../server.log", "lies outside of ComfyUI's input folder"),
        ("../../etc/passwd [output]", "lies outside of ComfyUI's output folder"),
        ("/etc/passwd", "lies outside of ComfyUI's input folder"),
        ("a/../../output/x.safetensors", "lies outside of ComfyUI's input folder"),
        ("x.safetensors [temp]", "output and input folders only"),
        ("a\0b.safetensors", "There is no stream file"),
        ("x" * 5000, "There is no stream file"),
    ],
)
def test_names_that_are_no_stream_file(host: Host, name: str, sentence: str) -> None:
    with pytest.raises(PromptRejected) as caught:
        host.run(continued_prompt(name))
    assert sentence in str(caught.value) and len(str(caught.value)) < 400


def test_a_file_of_another_kind_is_refused_when_it_is_loaded(host: Host, refusal: Any) -> None:
    file = host.base / "input" / "weights.safetensors"
    file.write_bytes(b"\x08\0\0\0\0\0\0\0{}      ")
    error = refusal(continued_prompt(file.name), "load")
    assert "weights.safetensors is a safetensors file of another kind" in error
    file.write_bytes(b"PK\3\4")
    assert "no stream file at all" in refusal(continued_prompt(file.name), "load")
    text = host.base / "input" / "notes.txt"
    text.write_text("a")
    with pytest.raises(PromptRejected, match="Stream files end with .safetensors"):
        host.run(continued_prompt(text.name))


def test_a_replaced_file_is_read_again_and_an_unchanged_one_is_not(host: Host, saved: Made) -> None:
    path = host.base / "input" / "replaced.safetensors"
    shutil.copy(saved["path"], path)
    prompt = continued_prompt(path.name)
    first = host.run(prompt)
    assert facts(first)["seed"] == saved["seed"]
    assert {"load", "video"} <= host.run(prompt).cached
    other = host.run(saved_prompt())
    shutil.copy(host.path(other.files()[0]), path)
    os.utime(path, ns=(1, 1))
    again = host.run(prompt)
    assert "load" in again.executed and facts(again)["seed"] != saved["seed"]


def test_info_tells_and_shows_what_a_stream_holds(host: Host, saved: Made) -> None:
    prompt = {
        "mini": node("CausVid_LoadMini"),
        "load": node("CausVid_LoadStream", file=saved["name"]),
        "info": node("CausVid_StreamInfo", stream=["load", 0], vae=["mini", 2]),
        "quick": node("CausVid_StreamInfo", stream=["load", 0]),
    }
    run = host.run(prompt)
    assert run.status == "success", run.error
    text = run.outputs["info"]["text"][0]
    assert text.startswith(
        f"64x64 px, 21 frames (1.3 s at 16 fps) in 2 blocks, seed {saved['seed']}"
    )
    for part in (
        "fingerprint ",
        "causvid-mini, 4 steps (1000, 900, 650, 350)",
        "shift 5",
        "Blocks 0-1 (0.00 to 1.31 s): prompt 1 of ",
        "do not travel",
    ):
        assert part in text, text
    assert run.outputs["quick"]["text"][0] == text
    for name in ("info", "quick"):
        [picture] = run.outputs[name]["images"]
        with Image.open(host.path(picture)) as image:
            assert image.size == (2 * 198 + 6, 192 + 22 + 12)
