"""Makes the Mini's templates and their pictures from the current nodes.

    .causvid/venv/bin/python scripts/make_templates.py                  # every .json and .jpg
    .causvid/venv/bin/python scripts/make_templates.py endless          # of one template
    .causvid/venv/bin/python scripts/make_templates.py --graphs         # only the .json
    .causvid/venv/bin/python scripts/make_templates.py --pictures       # only the .jpg

Run it when a node gets an input, when the notes of a template change, or when the Mini has other
weights. `python scripts/test.py` makes the environment that it needs (CAUSVID_HOME, if it is not
.causvid). The graphs come from the oldest supported ComfyUI, so that they open in every release.
"""

import argparse
import io
import json
from pathlib import Path

from hosting import command
from hosting.client import Run
from hosting.environment import ROOT
from hosting.graph import MUTED, Workflow, prompt_from_workflow
from hosting.host import Host, temporary_host
from hosting.pins import OLDEST
from PIL import Image
from templating.chosen import parse_names
from templating.stories import STORIES

WORKFLOWS = ROOT / "workflows"
BY_HAND = ("text_to_video_mini",)  # graphs that are edited by hand; only their pictures are made
PATIENCE = 3600.0  # seconds for one graph, on a busy machine
LARGEST_BYTES = 70_000
QUALITIES = range(90, 30, -5)
# The videos in the picture of a template, by the beginning of their names; default: all.
SHOWN = {"video_to_video": ("causvid_before",), "save_and_resume": ("causvid_another",)}
WIDE_COLUMNS, COLUMNS, ROWS, CELL_PX = 4, 6, 4, 128


def main() -> int:
    arguments = parse_arguments()
    command.import_core()
    with temporary_host(OLDEST) as host:
        for name in arguments.names or [*STORIES, *BY_HAND]:
            make(host, name, arguments)
    return 0


def make(host: Host, name: str, arguments: argparse.Namespace) -> None:
    """Write the files of one template and say how large they are."""
    path = WORKFLOWS / f"{name}.json"
    if not arguments.pictures and name in STORIES:
        workflow = STORIES[name](host.client.object_info())
        path.write_text(json.dumps(workflow, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if not arguments.graphs:
        videos, seconds = render(host, json.loads(path.read_text("utf-8")))
        shown = [v for v in videos if v.name.startswith(SHOWN.get(name, ("",)))]
        picture = encoded(sheet(shown))
        path.with_suffix(".jpg").write_bytes(picture)
        print(f"{name}: rendered in {seconds:.1f} s, picture of {len(picture) / 1000:.0f} kB")


def render(host: Host, workflow: Workflow) -> tuple[list[Path], float]:
    """The videos of a graph, and the seconds of its first run."""
    runs = finished(host, workflow)
    files = runs[-1].files()
    videos = sorted(host.path(file) for file in files if file["filename"].endswith(".mp4"))
    return videos, runs[0].seconds


def finished(host: Host, workflow: Workflow) -> list[Run]:
    """Run a graph to its end; one with muted nodes runs again with them unmuted.

    Unmutes the nodes of `workflow`. Ends the program if a run fails.
    """
    runs = [_finished(host, workflow)]
    if any(node["mode"] == MUTED for node in workflow["nodes"]):
        for node in workflow["nodes"]:
            node["mode"] = 0
        runs.append(_finished(host, workflow))
    return runs


def _finished(host: Host, workflow: Workflow) -> Run:
    prompt = prompt_from_workflow(workflow, host.client.object_info())
    run = host.run(prompt, timeout=PATIENCE)
    if run.status != "success":
        raise SystemExit(f"ComfyUI could not render the graph: {run.error}")
    return run


def sheet(videos: list[Path]) -> Image.Image:
    """Contact sheets of all videos, below each other."""
    from causvid_core.media.video import contact_sheet, read_frames

    sheets = []
    for video in videos:
        frames = list(read_frames(video))
        height, width = frames[0].shape[:2]
        many = len(videos) > 1
        columns, cell_px = (WIDE_COLUMNS, 192) if width > height else (COLUMNS, CELL_PX)
        sheets.append(contact_sheet(frames, columns, ROWS // 2 if many else ROWS, cell_px))
    whole = Image.new("RGB", (sheets[0].width, sum(image.height for image in sheets)))
    top = 0
    for image in sheets:
        whole.paste(image, (0, top))
        top += image.height
    return whole


def encoded(image: Image.Image) -> bytes:
    """A JPEG of at most LARGEST_BYTES, at the best quality that allows."""
    for quality in QUALITIES:
        buffer = io.BytesIO()
        image.save(buffer, "JPEG", quality=quality, optimize=True)
        if buffer.tell() <= LARGEST_BYTES:
            break
    return buffer.getvalue()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the Mini's templates and their pictures.")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--graphs", action="store_true", help="only the .json files")
    only.add_argument("--pictures", action="store_true", help="only the .jpg files")
    return parse_names(parser, (*STORIES, *BY_HAND), "template")


if __name__ == "__main__":
    command.run(main)
