"""The templates that tell stories with CausVid Mini, each as a function that draws its graph."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from hosting.graph import Workflow

from . import notes
from .films import render_to_a_file, story_in_clips
from .graph import LEFT, TOP, Node, Schemas, choices
from .story import ENDLESS, MINI_PX, NIGHT, ROUND, SEA, Story

__all__ = ["ENDLESS", "MINI_PX", "SEA", "STORIES", "Story"]

STRENGTH = 0.8
CONTINUED = "streams/causvid_story"  # where save_and_resume puts its stream

SCENES = f"""\
# time ~fade [mode]: what is seen
0: a large red circle moving right {NIGHT}
1.5s ~0.5s: a large yellow circle moving right {NIGHT}
3s [cut]: a large blue circle moving left {SEA}"""
TIMES = """\
0
1.5s ~0.5s
3s [cut]"""
LONG_SCENES = f"""\
0: a large red circle moving right {NIGHT}
4s ~1s: a large yellow circle moving right {NIGHT}
8s ~1s: a large green circle moving right {SEA}
# 1:00: and so on, for hours"""


def extend_a_story(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "extend_a_story")
    shots: list[Node] = []
    columns: list[list[Node]] = []
    for title, text in (
        ("The beginning", f"a large red circle moving right {NIGHT}"),
        ("Then", f"a large red circle moving up {NIGHT}"),
        ("The end", f"a large yellow circle moving left {NIGHT}"),
    ):
        prompt = graph.prompt(title, text)
        before = {"stream": shots[-1]["STREAM"], "switch": "recache"} if shots else {}
        shot = graph.shot(
            f"Shot {len(shots) + 1}",
            positive=prompt["CONDITIONING"],
            seconds=ROUND,
            seed=1,
            **before,
        )
        shots.append(shot)
        columns.append([prompt, shot])
    film = graph.film(shots[-1]["LATENT"], "story", "The whole story")
    note = graph.note("How it works", notes.EXTEND, 520)
    graph.place(LEFT, TOP, [graph.mini, note], *columns, *film)
    for number, column in enumerate(columns, 1):
        graph.group(f"{number}", *column)
    return graph.workflow()


def branch_two_endings(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "branch_two_endings")
    opening = graph.prompt("The beginning", f"a large red circle moving right {NIGHT}")
    first = graph.shot("Beginning", positive=opening["CONDITIONING"], seconds=ROUND, seed=1)
    note = graph.note("How it works", notes.BRANCH, 520)
    right, top = graph.place(LEFT, TOP, [graph.mini, note], [opening, first])[0], TOP
    for number, (title, text) in enumerate(
        (
            ("It turns yellow and rises", f"a large yellow circle moving up {NIGHT}"),
            ("It turns blue and goes back", f"a large blue circle moving left {NIGHT}"),
        ),
        1,
    ):
        prompt = graph.prompt(title, text)
        shot = graph.shot(
            f"Ending {number}",
            positive=prompt["CONDITIONING"],
            seconds=2.5,
            seed=1,
            stream=first["STREAM"],
            switch="recache",
        )
        film = graph.film(shot["LATENT"], f"ending_{number}", f"Story with ending {number}")
        _, top = graph.place(right, top, [prompt, shot], *film)
        graph.group(f"Ending {number}", prompt, shot, *sum(film, []))
    return graph.workflow()


def image_to_video(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "image_to_video")
    seen = graph.prompt("What is seen", f"a large green circle moving right {SEA}")
    painted = graph.shot("The Mini paints", positive=seen["CONDITIONING"], seconds=0.5, seed=1)
    images = graph.decoded(painted["LATENT"])
    picture = graph.node(
        "ImageFromBatch", "The picture", wide=260, image=images["IMAGE"], batch_index=8, length=1
    )
    look = graph.node("PreviewImage", "The picture", wide=260, high=260, images=picture["IMAGE"])
    happens = graph.prompt("What happens", f"a large green circle moving right {SEA}")
    shot = graph.shot(
        "The picture moves",
        "CausVid_ImageToVideo",
        vae=graph.mini["VAE"],
        image=picture["IMAGE"],
        positive=happens["CONDITIONING"],
        seconds=3.0,
        seed=1,
    )
    film = graph.film(shot["LATENT"], "from_image", "The video")
    note = graph.note("How it works", notes.IMAGE, 520)
    graph.place(
        LEFT,
        TOP,
        [graph.mini, note],
        [seen, painted],
        [images, picture, look],
        [happens, shot],
        *film,
    )
    graph.group("1 A picture", seen, painted, images, picture, look)
    graph.group("2 What happens", happens, shot, *sum(film, []))
    return graph.workflow()


def video_to_video(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "video_to_video")
    seen = graph.prompt("What the footage shows", f"a large red circle moving right {NIGHT}")
    filmed = graph.shot("The Mini films", positive=seen["CONDITIONING"], seconds=3.5, seed=1)
    images = graph.decoded(filmed["LATENT"])
    footage = graph.node("CreateVideo", "The footage", wide=260, images=images["IMAGE"], fps=16)
    becomes = graph.prompt("What it becomes", f"a large yellow circle moving right {SEA}")
    shot = graph.shot(
        "Made over",
        "CausVid_VideoToVideo",
        vae=graph.mini["VAE"],
        video=footage["VIDEO"],
        positive=becomes["CONDITIONING"],
        strength=STRENGTH,
        seed=2,
    )
    film = graph.film(shot["LATENT"], "made_over", "The result")
    stitched = graph.node(
        "ImageStitch", "Side by side", wide=260, image1=images["IMAGE"], image2=film[0][0]["IMAGE"]
    )
    both = graph.node("CreateVideo", wide=260, images=stitched["IMAGE"], fps=16)
    compared = graph.saved(both, "before_and_after", "Before and after")
    note = graph.note("How it works", notes.VIDEO, 520)
    graph.place(
        LEFT,
        TOP,
        [graph.mini, note],
        [seen, filmed],
        [images, footage],
        [becomes, shot],
        [*film[0], stitched, both],
        [*film[1], compared],
    )
    graph.group("1 Footage", seen, filmed, images, footage)
    graph.group("2 Made over", becomes, shot, *sum(film, []))
    graph.group("3 Side by side", stitched, both, compared)
    return graph.workflow()


def prompt_travel(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "prompt_travel")
    schedule = graph.node(
        "CausVid_PromptSchedule", "Scenes", wide=480, high=480, clip=graph.mini["CLIP"], text=SCENES
    )
    told = graph.node(
        "PreviewAny", "Which blocks it comes to", wide=480, high=200, source=schedule["TEXT"]
    )
    shot = graph.shot(
        "One shot through all scenes", prompts=schedule["PROMPTS"], seconds=5.0, seed=1
    )
    film = graph.film(shot["LATENT"], "prompt_travel", "The journey")
    note = graph.note("How it works", notes.TRAVEL, 520)
    right = graph.place(LEFT, TOP, [graph.mini, note])[0]
    _, top = graph.place(right, TOP, [schedule, told], [shot], *film)
    stops = [
        graph.prompt(f"Prompt {number}", text)
        for number, text in enumerate(
            (
                f"a large red circle moving right {NIGHT}",
                f"a large yellow circle moving right {NIGHT}",
                f"a large blue circle moving left {SEA}",
            ),
            1,
        )
    ]
    sockets = {f"prompt_{n}": stop["CONDITIONING"] for n, stop in enumerate(stops, 1)}
    travel = graph.node(
        "CausVid_PromptTravel", "The same from other nodes", wide=380, times=TIMES, **sockets
    )
    graph.place(right, top, *([stop] for stop in stops), [travel])
    graph.group("Instead: connect this PROMPTS to prompts", *stops, travel)
    return graph.workflow()


def save_and_resume(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "save_and_resume")
    text = graph.prompt("Today's prompt", f"a large purple circle moving down {SEA}")
    shot = graph.shot("Today's shot", positive=text["CONDITIONING"], seconds=ROUND, seed=1)
    keep = graph.node(
        "CausVid_SaveStream",
        "Keep the stream",
        wide=340,
        stream=shot["STREAM"],
        filename_prefix=CONTINUED,
    )
    film = graph.film(shot["LATENT"], "today", "Today's video")
    note = graph.note("How it works", notes.RESUME, 520)
    right, top = graph.place(LEFT, TOP, [graph.mini, note])[0], TOP
    _, top = graph.place(right, top, [text, keep], [shot], *film)
    graph.group("1 Today", text, keep, shot, *sum(film, []))
    kept = graph.node(
        "CausVid_LoadStream",
        "The stream kept",
        wide=360,
        file=f"{CONTINUED}_00001_.safetensors [output]",
    )
    text = graph.prompt("The next prompt", f"a large orange circle moving up {SEA}")
    shot = graph.shot(
        "The story goes on",
        positive=text["CONDITIONING"],
        seconds=2.0,
        seed=1,
        stream=kept["STREAM"],
        switch="recache",
    )
    film = graph.film(shot["LATENT"], "another_day", "Both days")
    graph.place(right, top, [kept, text], [shot], *film)
    later = [kept, text, shot, *sum(film, [])]
    graph.group("2 Another day: turn on when the stream is saved (see the note)", *later)
    graph.mute(*later)
    return graph.workflow()


def endless(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "endless")
    presets = choices(schemas["CausVid_Recipe"], "preset")
    preset = {"preset": ENDLESS} if ENDLESS in presets else {"preset": "causvid-mini", "sink": 3}
    recipe = graph.node("CausVid_Recipe", "A window and sinks", wide=420, **preset)
    schedule = graph.node(
        "CausVid_PromptSchedule",
        "Scenes",
        wide=420,
        high=480,
        clip=graph.mini["CLIP"],
        text=LONG_SCENES,
    )
    shot = graph.shot(
        "As long as you like",
        prompts=schedule["PROMPTS"],
        recipe=recipe["RECIPE"],
        seconds=12.0,
        seed=1,
        checkpoint_blocks=20,
    )
    keep = graph.node(
        "CausVid_SaveStream",
        "To go on from later",
        wide=360,
        stream=shot["STREAM"],
        filename_prefix="streams/causvid_endless",
    )
    film = graph.film(shot["LATENT"], "endless", "So far")
    note = graph.note("How it works", notes.ENDLESS, 520)
    graph.place(LEFT, TOP, [graph.mini, note], [schedule, recipe], [shot, keep], *film)
    return graph.workflow()


def extend_footage(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "extend_footage")
    seen = graph.prompt("What the footage shows", f"a large orange circle moving right {NIGHT}")
    filmed = graph.shot("The Mini films", positive=seen["CONDITIONING"], seconds=ROUND, seed=1)
    images = graph.decoded(filmed["LATENT"])
    footage = graph.node("CreateVideo", "The footage", wide=260, images=images["IMAGE"], fps=16)
    happens = graph.prompt("How it goes on", f"a large orange circle moving up {NIGHT}")
    shot = graph.shot(
        "It goes on",
        "CausVid_ExtendVideo",
        vae=graph.mini["VAE"],
        video=footage["VIDEO"],
        positive=happens["CONDITIONING"],
        seconds=2.0,
        seed=1,
    )
    info = graph.node(
        "CausVid_StreamInfo",
        "What the stream holds",
        wide=340,
        high=420,
        stream=shot["STREAM"],
        vae=graph.mini["VAE"],
    )
    made = graph.decoded(shot["LATENT"])
    new = graph.node(
        "ImageFromBatch",
        "New frames only",
        wide=260,
        image=made["IMAGE"],
        batch_index=shot["OVERLAP"],
        length=4096,
    )
    joined = graph.node(
        "ImageBatch",
        "Footage and new frames",
        wide=260,
        image1=images["IMAGE"],
        image2=new["IMAGE"],
    )
    video = graph.node("CreateVideo", wide=260, images=joined["IMAGE"], fps=16)
    saved = graph.saved(video, "extended", "The longer video")
    note = graph.note("How it works", notes.FOOTAGE, 520)
    graph.place(
        LEFT,
        TOP,
        [graph.mini, note],
        [seen, filmed],
        [images, footage],
        [happens, shot],
        [made, new, joined, video],
        [saved, info],
    )
    graph.group("1 Footage", seen, filmed, images, footage)
    graph.group("2 How it goes on", happens, shot)
    graph.group("3 One video", made, new, joined, video)
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
    text = graph.node(
        "CLIPTextEncode",
        "Each prompt",
        wide=360,
        high=150,
        clip=graph.mini["CLIP"],
        text=jobs["PROMPT"],
    )
    shot = graph.shot(
        "Each video", positive=text["CONDITIONING"], seconds=jobs["SECONDS"], seed=jobs["SEED"]
    )
    images = graph.decoded(shot["LATENT"])
    video = graph.node("CreateVideo", wide=260, images=images["IMAGE"], fps=16)
    saved = graph.node(
        "SaveVideo",
        "All videos",
        wide=360,
        video=video["VIDEO"],
        filename_prefix=jobs["FILENAME_PREFIX"],
    )
    note = graph.note("How it works", notes.BATCH, 520)
    graph.place(LEFT, TOP, [graph.mini, note], [jobs, text], [shot], [images, video], [saved])
    return graph.workflow()


STORIES: MappingProxyType[str, Callable[[Schemas], Workflow]] = MappingProxyType(
    {
        story.__name__: story
        for story in (
            extend_a_story,
            branch_two_endings,
            image_to_video,
            video_to_video,
            prompt_travel,
            save_and_resume,
            endless,
            extend_footage,
            batch_from_a_list,
            render_to_a_file,
            story_in_clips,
        )
    }
)
