"""A graph whose frames are laid out as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .graph import Node, Output, Schemas
from .story import Story

SHOT = 33  # px frames of the Mini's first three blocks: 9, 12 and 12


class Row(NamedTuple):
    """A label, and frames as (name of their film, number); the first `given` are an input."""

    label: str
    cells: Sequence[tuple[str, int]]
    given: int = 0


class Album(Story):
    """A graph that saves films frame by frame, and the rows that show their frames."""

    def __init__(self, schemas: Schemas, name: str) -> None:
        super().__init__(schemas, name)
        self.rows: list[Row] = []
        self._kept = 0

    def made(self, text: str, px_frames: int = SHOT, seed: int = 1, **inputs: Any) -> Node:
        """A Text to Video node under a prompt."""
        return self.shot("", self.prompt("", text), px_frames=px_frames, seed=seed, **inputs)

    def keep(self, images: Output) -> str:
        """Save images as a film; returns its name."""
        self._kept += 1
        name = f"kept_{self._kept:02}"
        self.node("SaveImage", images=images, filename_prefix=self.place_of(name))
        return name

    def place_of(self, name: str) -> str:
        """The filename prefix of a film."""
        return f"{self.name}/{name}/frame"

    def images(self, stream: Output, frames: str = "whole") -> Output:
        """Frames of a stream, decoded with its cuts."""
        return self.node(
            "CausVid_StreamDecode", stream=stream, vae=self.mini["VAE"], frames=frames
        )["IMAGE"]

    def film_of(self, latent: Output) -> str:
        """Decode a latent and save it; returns the name of the film."""
        return self.keep(self.decoded(latent)["IMAGE"])

    def row(self, label: str, name: str, frames: Sequence[int], given: int = 0) -> None:
        """A row of frames of one film."""
        self.rows.append(Row(label, [(name, frame) for frame in frames], given))
