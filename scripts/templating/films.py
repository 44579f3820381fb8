"""The templates that make files: one long file, a file per shot, and a file per line of a list."""

from __future__ import annotations

from hosting.graph import Workflow

from . import film_notes, notes
from .graph import Inputs, Node, Schemas
from .story import ENDLESS, NIGHT, ROUND, SEA, Story

SCENES = f"""\
0: a large red circle moving right {NIGHT}
10s ~1s: a large yellow circle moving right {NIGHT}
20s ~1s: a large green circle moving right {SEA}"""


def render_to_a_file(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "render_to_a_file")
    recipe = graph.node("CausVid_Recipe", "A window and sinks", wide=420, preset=ENDLESS)
    schedule = graph.schedule(SCENES)
    render = graph.shot(
        "Straight to a file",
        schedule,
        "CausVid_RenderToVideo",
        recipe=recipe["RECIPE"],
        minutes=0.5,
        filename_prefix="video/causvid_render",
        checkpoint_blocks=50,
    )
    save = graph.saved_stream("To continue later", render, "streams/causvid_render")
    graph.explained(film_notes.RENDER, [schedule, recipe], [render], [save])
    return graph.workflow()


def story_in_clips(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "story_in_clips")
    decoded: list[Node] = []
    columns: list[list[Node]] = []
    for number, (title, text, switch) in enumerate(
        (
            ("The beginning", f"a large orange circle moving right {NIGHT}", "carry"),
            ("Then", f"a large yellow circle moving right {SEA}", "recache"),
            ("Elsewhere", f"a large white ring moving up {NIGHT}", "cut"),
        ),
        1,
    ):
        prompt = graph.prompt(title, text)
        before: Inputs = {"stream": decoded[-1]["STREAM"], "switch": switch} if decoded else {}
        shot = graph.shot(f"Shot {number}", prompt, seconds=ROUND, **before)
        images = graph.node(
            "CausVid_StreamDecode",
            f"Frames of shot {number}",
            wide=340,
            stream=shot["STREAM"],
            vae=graph.mini["VAE"],
            frames="new",
        )
        video = graph.node("CreateVideo", wide=340, images=images["IMAGE"], fps=16)
        saved = graph.saved(video, f"video/causvid_clip_{number}", f"Clip {number}")
        decoded.append(images)
        columns += [[prompt, shot], [images, video, saved]]
    graph.explained(film_notes.CLIPS, *columns)
    for number in range(len(decoded)):
        graph.group(str(number + 1), *columns[2 * number], *columns[2 * number + 1])
    return graph.workflow()


def batch_from_a_list(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "batch_from_a_list")
    jobs = graph.node(
        "CausVid_JobList",
        "The list",
        wide=380,
        file="example of the pack",
        filename_pattern="video/batch/{index:03}_{name}_{seed}",
    )
    text = graph.prompt("Each prompt", jobs["PROMPT"])
    shot = graph.shot("Each video", text, seconds=jobs["SECONDS"], seed=jobs["SEED"])
    images = graph.decoded(shot["LATENT"])
    video = graph.video(images)
    saved = graph.saved(video, jobs["FILENAME_PREFIX"], "All videos")
    graph.explained(notes.BATCH, [jobs, text], [shot], [images, video], [saved])
    return graph.workflow()


TEMPLATES = (batch_from_a_list, render_to_a_file, story_in_clips)
