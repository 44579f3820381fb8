"""The templates that tell stories with CausVid Mini, each as a function that draws its graph."""

from __future__ import annotations

from collections.abc import Callable
from types import MappingProxyType

from hosting.graph import Workflow

from . import films, footage, notes
from .graph import Inputs, Node, Schemas, choices
from .story import ENDLESS, NIGHT, ROUND, SEA, TOP, Story

SAVED_STREAM = "streams/causvid_story"  # where save_and_resume saves its stream

RED_CIRCLE = f"a large red circle moving right {NIGHT}"
YELLOW_CIRCLE = f"a large yellow circle moving right {NIGHT}"
BLUE_CIRCLE = f"a large blue circle moving left {SEA}"
SCENES = f"""\
# time ~fade [mode]: what the picture shows
0: {RED_CIRCLE}
1.5s ~0.5s: {YELLOW_CIRCLE}
3s [cut]: {BLUE_CIRCLE}"""
TIMES = """\
0
1.5s ~0.5s
3s [cut]"""
LONG_SCENES = f"""\
0: {RED_CIRCLE}
4s ~1s: {YELLOW_CIRCLE}
8s ~1s: a large green circle moving right {SEA}
# 1:00: and so on, for hours"""


def extend_a_story(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "extend_a_story")
    shots: list[Node] = []
    columns: list[list[Node]] = []
    for number, (title, text) in enumerate(
        (
            ("The beginning", RED_CIRCLE),
            ("Then", f"a large red circle moving up {NIGHT}"),
            ("The end", f"a large yellow circle moving left {NIGHT}"),
        ),
        1,
    ):
        prompt = graph.prompt(title, text)
        before: Inputs = {"stream": shots[-1]["STREAM"], "switch": "recache"} if shots else {}
        shots.append(graph.shot(f"Shot {number}", prompt, seconds=ROUND, **before))
        columns.append([prompt, shots[-1]])
    film = graph.film(shots[-1]["LATENT"], "story", "The whole story")
    graph.explained(notes.EXTEND, *columns, *film)
    for number, column in enumerate(columns, 1):
        graph.group(f"{number}", *column)
    return graph.workflow()


def branch_two_endings(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "branch_two_endings")
    opening = graph.prompt("The beginning", RED_CIRCLE)
    first = graph.shot("Beginning", opening, seconds=ROUND)
    right, _ = graph.explained(notes.BRANCH, [opening, first])
    top: float = TOP
    for number, (title, text) in enumerate(
        (
            ("It turns yellow and rises", f"a large yellow circle moving up {NIGHT}"),
            ("It turns blue and goes back", f"a large blue circle moving left {NIGHT}"),
        ),
        1,
    ):
        prompt = graph.prompt(title, text)
        shot = graph.shot(
            f"Ending {number}", prompt, seconds=2.5, stream=first["STREAM"], switch="recache"
        )
        film = graph.film(shot["LATENT"], f"ending_{number}", f"Story with ending {number}")
        _, top = graph.place(right, top, [prompt, shot], *film)
        graph.group(f"Ending {number}", prompt, shot, *sum(film, []))
    return graph.workflow()


def prompt_travel(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "prompt_travel")
    schedule = graph.schedule(SCENES, wide=480)
    blocks = graph.node(
        "PreviewAny", "Blocks of each scene", wide=480, high=200, source=schedule["TEXT"]
    )
    shot = graph.shot("One shot through all scenes", schedule, seconds=5.0)
    film = graph.film(shot["LATENT"], "prompt_travel", "The journey")
    right = graph.explained(notes.TRAVEL)[0]
    _, top = graph.place(right, TOP, [schedule, blocks], [shot], *film)
    prompts = [
        graph.prompt(f"Prompt {number}", text)
        for number, text in enumerate((RED_CIRCLE, YELLOW_CIRCLE, BLUE_CIRCLE), 1)
    ]
    sockets: Inputs = {f"prompt_{n}": prompt["CONDITIONING"] for n, prompt in enumerate(prompts, 1)}
    travel = graph.node(
        "CausVid_PromptTravel", "The same prompts from nodes", wide=380, times=TIMES, **sockets
    )
    graph.place(right, top, *([prompt] for prompt in prompts), [travel])
    graph.group("Instead: connect this PROMPTS to prompts", *prompts, travel)
    return graph.workflow()


def save_and_resume(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "save_and_resume")
    text = graph.prompt("Today's prompt", f"a large purple circle moving down {SEA}")
    shot = graph.shot("Today's shot", text, seconds=ROUND)
    save = graph.saved_stream("Save the stream", shot, SAVED_STREAM)
    film = graph.film(shot["LATENT"], "today", "Today's video")
    right = graph.explained(notes.RESUME)[0]
    _, top = graph.place(right, TOP, [text, save], [shot], *film)
    graph.group("1 Today", text, save, shot, *sum(film, []))
    loaded = graph.node(
        "CausVid_LoadStream",
        "The saved stream",
        wide=360,
        file=f"{SAVED_STREAM}_00001_.safetensors [output]",
    )
    text = graph.prompt("The next prompt", f"a large orange circle moving up {SEA}")
    shot = graph.shot(
        "The story continues", text, seconds=2.0, stream=loaded["STREAM"], switch="recache"
    )
    film = graph.film(shot["LATENT"], "another_day", "Both days")
    graph.place(right, top, [loaded, text], [shot], *film)
    later = [loaded, text, shot, *sum(film, [])]
    graph.group("2 Another day: turn this on when the stream is saved (see the note)", *later)
    graph.mute(*later)
    return graph.workflow()


def endless(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "endless")
    presets = choices(schemas["CausVid_Recipe"], "preset")
    preset = {"preset": ENDLESS} if ENDLESS in presets else {"preset": "causvid-mini", "sink": 3}
    recipe = graph.node("CausVid_Recipe", "A window and sinks", wide=420, **preset)
    schedule = graph.schedule(LONG_SCENES)
    shot = graph.shot(
        "As long as you like", schedule, recipe=recipe["RECIPE"], seconds=12.0, checkpoint_blocks=20
    )
    save = graph.saved_stream("To continue later", shot, "streams/causvid_endless", wide=360)
    film = graph.film(shot["LATENT"], "endless", "The video so far")
    graph.explained(notes.ENDLESS, [schedule, recipe], [shot, save], *film)
    return graph.workflow()


TEMPLATES = (extend_a_story, branch_two_endings, prompt_travel, save_and_resume, endless)
STORIES: MappingProxyType[str, Callable[[Schemas], Workflow]] = MappingProxyType(
    {one.__name__: one for one in (*TEMPLATES, *footage.TEMPLATES, *films.TEMPLATES)}
)
