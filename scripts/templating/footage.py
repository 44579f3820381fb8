"""The templates that start from a picture or from footage."""

from __future__ import annotations

from hosting.graph import Workflow

from . import notes
from .graph import Node, Schemas
from .story import NIGHT, ROUND, SEA, Story

STRENGTH = 0.8


def image_to_video(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "image_to_video")
    seen = graph.prompt("What the picture shows", f"a large green circle moving right {SEA}")
    painted = graph.shot("The Mini paints", seen, seconds=0.5)
    images = graph.decoded(painted["LATENT"])
    picture = graph.node(
        "ImageFromBatch", "The picture", wide=260, image=images["IMAGE"], batch_index=8, length=1
    )
    preview = graph.node("PreviewImage", "The picture", wide=260, high=260, images=picture["IMAGE"])
    happens = graph.prompt("What happens", f"a large green circle moving right {SEA}")
    shot = graph.shot(
        "The picture moves", happens, "CausVid_ImageToVideo", image=picture["IMAGE"], seconds=3.0
    )
    film = graph.film(shot["LATENT"], "from_image", "The video")
    first = [[seen, painted], [images, picture, preview]]
    graph.explained(notes.IMAGE, *first, [happens, shot], *film)
    graph.group("1 A picture", *sum(first, []))
    graph.group("2 What happens", happens, shot, *sum(film, []))
    return graph.workflow()


def video_to_video(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "video_to_video")
    first = _footage(graph, f"a large red circle moving right {NIGHT}", seconds=3.5)
    images, footage = first[1]
    becomes = graph.prompt("What it becomes", f"a large yellow circle moving right {SEA}")
    shot = graph.shot(
        "Restyled",
        becomes,
        "CausVid_VideoToVideo",
        video=footage["VIDEO"],
        strength=STRENGTH,
        seed=2,
    )
    film = graph.film(shot["LATENT"], "made_over", "The result")
    stitched = graph.node(
        "ImageStitch", "Side by side", wide=260, image1=images["IMAGE"], image2=film[0][0]["IMAGE"]
    )
    both = graph.video(stitched)
    compared = graph.saved(both, "video/causvid_before_and_after", "Before and after")
    graph.explained(
        notes.VIDEO, *first, [becomes, shot], [*film[0], stitched, both], [*film[1], compared]
    )
    graph.group("1 Footage", *sum(first, []))
    graph.group("2 Restyled", becomes, shot, *sum(film, []))
    graph.group("3 Side by side", stitched, both, compared)
    return graph.workflow()


def extend_footage(schemas: Schemas) -> Workflow:
    graph = Story(schemas, "extend_footage")
    first = _footage(graph, f"a large orange circle moving right {NIGHT}", seconds=ROUND)
    images, footage = first[1]
    happens = graph.prompt("What happens next", f"a large orange circle moving up {NIGHT}")
    shot = graph.shot(
        "The footage continues", happens, "CausVid_ExtendVideo", video=footage["VIDEO"], seconds=2.0
    )
    info = graph.node(
        "CausVid_StreamInfo",
        "Contents of the stream",
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
        "ImageBatch", "Footage + new frames", wide=260, image1=images["IMAGE"], image2=new["IMAGE"]
    )
    video = graph.video(joined)
    saved = graph.saved(video, "video/causvid_extended", "The longer video")
    graph.explained(
        notes.FOOTAGE, *first, [happens, shot], [made, new, joined, video], [saved, info]
    )
    graph.group("1 Footage", *sum(first, []))
    graph.group("2 What happens next", happens, shot)
    graph.group("3 One video", made, new, joined, video)
    return graph.workflow()


def _footage(graph: Story, text: str, seconds: float) -> list[list[Node]]:
    """Two columns in which the Mini makes footage; the second one is its images and its video."""
    seen = graph.prompt("What the footage shows", text)
    filmed = graph.shot("The Mini films", seen, seconds=seconds)
    images = graph.decoded(filmed["LATENT"])
    return [[seen, filmed], [images, graph.video(images, "The footage")]]


TEMPLATES = (image_to_video, video_to_video, extend_footage)
