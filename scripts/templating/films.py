"""The templates that decode for themselves: straight to a file, and clip by clip."""

from __future__ import annotations

from hosting.graph import Workflow

from . import film_notes
from .graph import LEFT, TOP, Node, Schemas
from .story import ENDLESS, NIGHT, ROUND, SEA, Story

SCENES = f"""\
0: a large red circle moving right {NIGHT}
10s ~1s: a large yellow circle moving right {NIGHT}
20s ~1s: a large green circle moving right {SEA}"""


def render_to_a_file(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "render_to_a_file")
    recipe = graph.node("CausVid_Recipe", "A window and sinks", wide=420, preset=ENDLESS)
    schedule = graph.node(
        "CausVid_PromptSchedule", "Scenes", wide=420, high=480, clip=graph.mini["CLIP"], text=SCENES
    )
    render = graph.shot(
        "Straight into a file",
        "CausVid_RenderToVideo",
        vae=graph.mini["VAE"],
        prompts=schedule["PROMPTS"],
        recipe=recipe["RECIPE"],
        minutes=0.5,
        seed=1,
        filename_prefix="video/causvid_render",
        checkpoint_blocks=50,
    )
    keep = graph.node(
        "CausVid_SaveStream",
        "To go on from later",
        wide=340,
        stream=render["STREAM"],
        filename_prefix="streams/causvid_render",
    )
    note = graph.note("How it works", film_notes.RENDER, 520)
    graph.place(LEFT, TOP, [graph.mini, note], [schedule, recipe], [render], [keep])
    return graph.workflow()


def story_in_clips(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "story_in_clips")
    decoded: list[Node] = []
    columns: list[list[Node]] = []
    framed: list[list[Node]] = []
    for number, (title, text, switch) in enumerate(
        (
            ("The beginning", f"a large orange circle moving right {NIGHT}", "carry"),
            ("Then", f"a large yellow circle moving right {SEA}", "recache"),
            ("Elsewhere", f"a large white ring moving up {NIGHT}", "cut"),
        ),
        1,
    ):
        prompt = graph.prompt(title, text)
        before = {"stream": decoded[-1]["STREAM"], "switch": switch} if decoded else {}
        shot = graph.shot(
            f"Shot {number}", positive=prompt["CONDITIONING"], seconds=ROUND, seed=1, **before
        )
        images = graph.node(
            "CausVid_StreamDecode",
            f"Frames of shot {number}",
            wide=340,
            stream=shot["STREAM"],
            vae=graph.mini["VAE"],
            frames="new",
        )
        video = graph.node("CreateVideo", wide=340, images=images["IMAGE"], fps=16)
        saved = graph.saved(video, f"clip_{number}", f"Clip {number}")
        decoded.append(images)
        columns += [[prompt, shot], [images, video, saved]]
        framed.append([prompt, shot, images, video, saved])
    note = graph.note("How it works", film_notes.CLIPS, 520)
    graph.place(LEFT, TOP, [graph.mini, note], *columns)
    for number, nodes in enumerate(framed, 1):
        graph.group(str(number), *nodes)
    return graph.workflow()
