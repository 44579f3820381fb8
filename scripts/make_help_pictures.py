"""Makes the pictures of the help pages, in web/docs/pictures, and docs/mini.jpg for README.md.

They come from CausVid Mini in a real ComfyUI.

    .causvid/venv/bin/python scripts/make_help_pictures.py              # all of them
    .causvid/venv/bin/python scripts/make_help_pictures.py switches     # one

Run it when the weights of the Mini or the behaviour of a node change. `python scripts/test.py`
makes the environment that it needs (CAUSVID_HOME, if it is not .causvid).
"""

import argparse
from pathlib import Path

from hosting import command
from hosting.environment import ROOT
from hosting.host import Host, temporary_host
from hosting.pins import NEWEST
from make_templates import encoded, finished
from PIL import Image
from templating.chosen import parse_names
from templating.pictures import PICTURES, Album
from templating.strips import Strip, sheet

FOLDER = ROOT / "web" / "docs" / "pictures"
ELSEWHERE = {"mini": ROOT / "docs"}


def main() -> int:
    names = parse_arguments().names or list(PICTURES)
    FOLDER.mkdir(exist_ok=True)
    with temporary_host(NEWEST) as host:
        for name in names:
            data = encoded(render(host, name))
            (ELSEWHERE.get(name, FOLDER) / f"{name}.jpg").write_bytes(data)
            print(f"{name}: {len(data) / 1000:.0f} kB", flush=True)
    return 0


def render(host: Host, name: str) -> Image.Image:
    """The picture of that name. Muted nodes of its graph run after the others."""
    album = Album(host.client.object_info(), f"help_{name}")
    PICTURES[name](album)
    run = finished(host, album.workflow())[-1]
    films: dict[str, list[Path]] = {}
    for file in run.files():
        if file["type"] == "output" and file["filename"].endswith(".png"):
            films.setdefault(Path(file["subfolder"]).name, []).append(host.path(file))
    strips = [
        Strip(
            row.label,
            [Image.open(sorted(films[film])[frame]) for film, frame in row.cells],
            row.given,
        )
        for row in album.rows
    ]
    return strips[0].pictures[0] if not strips[0].label else sheet(strips)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Make the pictures of the help pages.")
    return parse_names(parser, PICTURES, "picture")


if __name__ == "__main__":
    command.run(main)
