"""The pictures of the help pages: for each a graph, and rows of its frames."""

from __future__ import annotations

import csv
from collections.abc import Callable
from textwrap import shorten
from types import MappingProxyType

from hosting.environment import ROOT

from .album import SHOT, Album, Row
from .graph import choices
from .story import ENDLESS, MINI_PX, SEA

RED, BLUE = "a large red circle", "a large blue square"
PLAIN = "over a navy plain background"
RIGHT, LEFTWARD = f"{RED} moving right {PLAIN}", f"{BLUE} moving left {PLAIN}"
EXAMPLE = ROOT / "causvid_core" / "mini" / "example_jobs.csv"
ROUND = 69  # px frames of six blocks, after which a moving shape has crossed the picture
MORE = 36  # px frames of three later blocks
FIVE = range(4, SHOT, 7)  # frames of a shot


def mini(album: Album) -> None:
    """Of README: what the Mini can do at a glance."""
    for text in (
        "a large red circle moving right over a navy gradient background",
        "a large white ring moving up over a maroon striped background",
        "a large yellow star turning over a teal plain background",
        "a green square moving left over a grey dotted background",
        "a large purple triangle moving down over a black plain background",
        "a large pink cross growing over an olive gradient background",
    ):
        name = album.film_of(album.made(text, ROUND)["LATENT"])
        album.row(text, name, range(0, ROUND, 8))


def mini_words(album: Album) -> None:
    """One word changed at a time."""
    for label, texts in (
        (
            "circle, square, triangle, star, ring",
            [
                f"a large red {shape} growing {PLAIN}"
                for shape in ("circle", "square", "triangle", "star", "ring")
            ],
        ),
        (
            "cross; orange, yellow, green, pink, white",
            [
                f"a large {colour} cross growing {PLAIN}"
                for colour in ("orange", "yellow", "green", "pink", "white")
            ],
        ),
        (
            "plain, gradient, striped, dotted; small",
            [
                *(
                    f"a large white circle growing over a teal {pattern} background"
                    for pattern in ("plain", "gradient", "striped", "dotted")
                ),
                "a small white circle growing over a maroon plain background",
            ],
        ),
    ):
        cells = [(album.film_of(album.made(text, 9)["LATENT"]), 8) for text in texts]
        album.rows.append(Row(label, cells))
    for label, text in (
        ("moving right", RIGHT),
        ("growing", f"a large yellow star growing {PLAIN}"),
        ("moving down", f"a large green square moving down {PLAIN}"),
    ):
        name = album.film_of(album.made(text)["LATENT"])
        album.row(label, name, FIVE)


def recipes(album: Album) -> None:
    """The Mini with its own recipe and with others."""
    for label, changes in (
        ("its own preset: 4 steps, blocks of 3", {}),
        ("timesteps 1000, 650: 2 steps", {"timesteps": "1000, 650"}),
        ("timesteps 1000: 1 step", {"timesteps": "1000"}),
        ("frames_per_block 1: not as trained", {"frames_per_block": 1}),
    ):
        recipe = album.node("CausVid_Recipe", preset="causvid-mini", **changes)
        shot = album.made(f"a large yellow star growing {SEA}", recipe=recipe["RECIPE"])
        album.row(label, album.film_of(shot["LATENT"]), FIVE)


def switches(album: Album) -> None:
    """One beginning, then a new prompt in each of the four switch modes."""
    first = album.made(RIGHT, ROUND)
    for mode in choices(album.schemas["CausVid_TextToVideo"], "switch"):
        shot = album.made(LEFTWARD, MORE, stream=first["STREAM"], switch=mode)
        name = album.film_of(shot["LATENT"])
        album.row(mode, name, [ROUND + frame for frame in (-1, 5, 14, 23, 35)], given=1)


def schedule(album: Album) -> None:
    """The scenes of a schedule."""
    text = (
        f"0: {RIGHT}\n2s ~1s: a large yellow circle moving right {PLAIN}\n"
        f"4s [cut]: a large white star turning {SEA}"
    )
    prompts = album.node("CausVid_PromptSchedule", clip=album.mini["CLIP"], text=text)
    shot = album.shot("", prompts, px_frames=93)
    name = album.keep(album.images(shot["STREAM"]))
    album.row("0: a large red circle ...", name, (0, 5, 10, 15, 20))
    album.row("2s ~1s: a large yellow circle ...", name, (24, 32, 40, 48, 56))
    album.row("4s [cut]: a large white star ...", name, (57, 65, 73, 81, 89))


def travel(album: Album) -> None:
    """Two prompts, with and without a fade."""
    prompts = [
        album.prompt("", text)["CONDITIONING"]
        for text in (f"a large red circle pulsing {PLAIN}", f"a large green circle pulsing {PLAIN}")
    ]
    for label, times in (
        ("0 and 2s ~0: no fade", "0\n2s ~0"),
        ("0 and 2s ~2s: a fade of two seconds", "0\n2s ~2s"),
    ):
        node = album.node(
            "CausVid_PromptTravel", times=times, prompt_1=prompts[0], prompt_2=prompts[1]
        )
        shot = album.shot("", node, px_frames=93)
        album.row(label, album.film_of(shot["LATENT"]), (12, 28, 44, 60, 76))


def text_to_video(album: Album) -> None:
    """Two shots, and one of them continued."""
    first = album.made(RIGHT, ROUND)
    ring = album.made("a small white ring moving up over a maroon striped background")
    album.row('"a small white ring moving up ..."', album.film_of(ring["LATENT"]), FIVE)
    name = album.film_of(first["LATENT"])
    album.row('"a large red circle moving right ..."', name, range(4, ROUND, 16))
    more = album.made(
        f"a large yellow circle moving up {PLAIN}", MORE, stream=first["STREAM"], switch="recache"
    )
    name = album.film_of(more["LATENT"])
    frames = range(ROUND - 2, ROUND + MORE, 9)
    album.row('... then "a large yellow circle moving up"', name, frames)


def image_to_video(album: Album) -> None:
    """A picture of another shape, fitted in each way, and its video."""
    text = f"a large green circle moving right {SEA}"
    painted = album.made(text, 9)
    frames = album.decoded(painted["LATENT"])["IMAGE"]
    square = album.node("ImageFromBatch", image=frames, batch_index=8, length=1)["IMAGE"]
    image = album.node("ImageScale", image=square, width=MINI_PX, height=40, crop="center")["IMAGE"]
    picture = album.keep(image)
    for fit in choices(album.schemas["CausVid_ImageToVideo"], "fit"):
        prompt = album.prompt("", text)
        shot = album.shot("", prompt, "CausVid_ImageToVideo", image=image, px_frames=45, fit=fit)
        name = album.film_of(shot["LATENT"])
        cells = [(picture, 0), *((name, frame) for frame in (8, 20, 32, 44))]
        album.rows.append(Row(fit, cells, given=1))


def video_to_video(album: Album) -> None:
    """Footage, and what each strength leaves of it."""
    filmed = album.made(f"{RED} moving up {PLAIN}")
    images = album.decoded(filmed["LATENT"])["IMAGE"]
    prompt = album.prompt("", f"a large yellow star moving right {SEA}")
    album.row("the footage", album.keep(images), FIVE, given=len(FIVE))
    for strength in (0.0, 0.3, 0.5, 0.7, 1.0):
        shot = album.shot(
            "", prompt, "CausVid_VideoToVideo", images=images, strength=strength, seed=2
        )
        album.row(f"strength {strength:g}", album.film_of(shot["LATENT"]), FIVE)


def extend_video(album: Album) -> None:
    """The end of footage, and what follows it."""
    filmed = album.made(RIGHT, ROUND)
    images = album.decoded(filmed["LATENT"])["IMAGE"]
    for label, text in (
        ("under its own prompt", RIGHT),
        ('under "a large red circle moving up"', f"{RED} moving up {PLAIN}"),
    ):
        prompt = album.prompt("", text)
        shot = album.shot("", prompt, "CausVid_ExtendVideo", images=images, px_frames=MORE)
        new = album.decoded(shot["LATENT"])["IMAGE"]
        there = album.node("ImageFromBatch", image=new, batch_index=shot["OVERLAP"], length=4096)
        made, given = album.keep(there["IMAGE"]), album.keep(images)
        cells = [(given, ROUND - 10), (given, ROUND - 1), *((made, n) for n in (11, 23, 35))]
        album.rows.append(Row(label, cells, given=2))


def save_and_load(album: Album) -> None:
    """A stream saved, loaded and continued; below it one render without a break."""
    text = f"a large pink circle moving down {SEA}"
    today = album.made(text)
    prefix = "streams/help"
    album.node("CausVid_SaveStream", stream=today["STREAM"], filename_prefix=prefix)
    whole = album.made(text, SHOT + MORE)
    frames = (20, 32, 42, 52, 62)
    album.row("saved, loaded and continued", "another_day", frames, given=2)
    album.row("made without a break: the same", album.film_of(whole["LATENT"]), frames)
    loaded = album.node("CausVid_LoadStream", file=f"{prefix}_00001_.safetensors [output]")
    prompt = album.prompt("", text)
    more = album.shot("", prompt, px_frames=MORE, stream=loaded["STREAM"])
    decoded = album.decoded(more["LATENT"])
    saved = album.node(
        "SaveImage", images=decoded["IMAGE"], filename_prefix=album.place_of("another_day")
    )
    album.mute(loaded, prompt, more, decoded, saved)


def stream_info(album: Album) -> None:
    """The contact sheet of the node; a row without a label is the whole picture."""
    first = album.made(RIGHT)
    more = album.made(LEFTWARD, MORE, stream=first["STREAM"], switch="cut")
    info = album.node("CausVid_StreamInfo", stream=more["STREAM"], vae=album.mini["VAE"])
    album.row("", album.keep(info["SHEET"]), (0,))


def stream_decode(album: Album) -> None:
    """New frames only, and a cut decoded by VAE Decode and by Stream Decode."""
    first = album.made(RIGHT)
    decoded = album.node("CausVid_StreamDecode", stream=first["STREAM"], vae=album.mini["VAE"])
    album.row("whole: frames of the first node", album.keep(decoded["IMAGE"]), FIVE)
    more = album.made(RIGHT, MORE, stream=decoded["STREAM"])
    added = album.images(more["STREAM"], "new")
    album.row("new: what the second node adds", album.keep(added), FIVE)
    text = f"a large white star turning {SEA}"
    cut = album.made(text, MORE, stream=first["STREAM"], switch="cut")
    frames = [SHOT + frame for frame in (-1, 0, 2, 4, 9)]
    album.row("a cut in VAE Decode", album.film_of(cut["LATENT"]), frames)
    album.row("the same in Stream Decode", album.keep(album.images(cut["STREAM"])), frames)


def render_to_video(album: Album) -> None:
    """Half a minute of a schedule, read from the file."""
    scenes = (
        f"a large red circle moving right {PLAIN}",
        f"a large yellow star growing {PLAIN}",
        f"a large green square moving up {SEA}",
    )
    text = "\n".join(f"{10 * n}s [cut]: {scene}" for n, scene in enumerate(scenes))
    prompts = album.node("CausVid_PromptSchedule", clip=album.mini["CLIP"], text=text)
    recipe = album.node("CausVid_Recipe", preset=ENDLESS)
    made = album.shot("", prompts, "CausVid_RenderToVideo", minutes=0.5, recipe=recipe["RECIPE"])
    film = album.node("GetVideoComponents", video=made["VIDEO"])
    name = album.keep(film["images"])
    for number, label in enumerate(("0:00 to 0:09", "0:10 to 0:19", "0:20 to 0:29")):
        album.row(label, name, [16 * (10 * number + second) + 4 for second in range(0, 10, 2)])


def job_list(album: Album) -> None:
    """A row for each of the first jobs of the example list."""
    with EXAMPLE.open(encoding="utf-8", newline="") as file:
        prompts = [job["prompt"] for job in csv.DictReader(file)]
    jobs = album.node("CausVid_JobList", file="example of the pack", seconds=2.0, count=4)
    shot = album.shot("", album.prompt("", jobs["PROMPT"]), px_frames=SHOT, seed=jobs["SEED"])
    name = album.film_of(shot["LATENT"])
    for number, prompt in enumerate(prompts[:4]):
        frames = [number * SHOT + frame for frame in FIVE]
        album.row(f"{number + 1}: {shorten(prompt, 38, placeholder=' ...')}", name, frames)


PICTURES: MappingProxyType[str, Callable[[Album], None]] = MappingProxyType(
    {
        picture.__name__: picture
        for picture in (
            mini,
            mini_words,
            recipes,
            switches,
            schedule,
            travel,
            text_to_video,
            image_to_video,
            video_to_video,
            extend_video,
            save_and_load,
            stream_info,
            stream_decode,
            render_to_video,
            job_list,
        )
    }
)
