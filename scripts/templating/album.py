"""A graph whose images are laid out as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .graph import Node, Output, Schemas
from .story import Story

SHOT = 33  # px frames of three blocks of the Mini: 9, 12 and 12


class Row(NamedTuple):
    """A line of text, and frames as (what saves them, which of them); the first `given` are not
    the model's."""

    label: str
    cells: Sequence[tuple[str, int]]
    given: int = 0


class Album(Story):
    """A graph whose images are saved frame by frame, to be laid out in rows."""

    def __init__(self, schemas: Schemas, name: str) -> None:
        super().__init__(schemas, name)
        self.rows: list[Row] = []
        self._kept = 0

    def made(self, text: str, px_frames: int = SHOT, seed: int = 1, **inputs: object) -> Node:
        """A Text to Video node under a prompt."""
        prompt = self.prompt("", text)
        return self.shot(
            "", positive=prompt["CONDITIONING"], px_frames=px_frames, seed=seed, **inputs
        )

    def keep(self, images: Output) -> str:
        """Save images; the name to be used in a row."""
        self._kept += 1
        name = f"kept_{self._kept:02}"
        self.node("SaveImage", images=images, filename_prefix=self.place_of(name))
        return name

    def place_of(self, name: str) -> str:
        """The prefix of a film's files."""
        return f"{self.name}/{name}/frame"

    def images(self, stream: Output, frames: str = "whole") -> Output:
        """Frames of a stream, with its cuts kept apart."""
        return self.node(
            "CausVid_StreamDecode", stream=stream, vae=self.mini["VAE"], frames=frames
        )["IMAGE"]

    def film_of(self, latent: Output) -> str:
        """Decode and save a latent."""
        return self.keep(self.decoded(latent)["IMAGE"])

    def row(self, label: str, name: str, frames: Sequence[int], given: int = 0) -> None:
        """A row of frames of one film."""
        self.rows.append(Row(label, [(name, frame) for frame in frames], given))
