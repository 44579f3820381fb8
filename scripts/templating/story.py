"""A graph around one Mini, and what the templates share."""

from __future__ import annotations

from typing import Any

from .graph import LEFT, TOP, Graph, Node, Output, Schemas

MINI_PX = 64
ENDLESS = "causvid-mini-endless"
ROUND = 4.0  # seconds after which a moving shape has crossed the picture and is whole again
NIGHT, SEA = "over a navy gradient background", "over a teal gradient background"
FPS = 16


class Story(Graph):
    """A graph around one Mini, in the order in which an artist reads it."""

    def __init__(self, schemas: Schemas, name: str) -> None:
        super().__init__(schemas, name)
        self.mini = self.node("CausVid_LoadMini", wide=320, high=90)

    def explained(self, text: str, *columns: list[Node]) -> tuple[float, float]:
        """Place the Mini and a note, then columns to their right; returns what `place` returns."""
        note = self.note("How it works", text, 520)
        return self.place(LEFT, TOP, [self.mini, note], *columns)

    def prompt(self, title: str, text: str | Output) -> Node:
        return self.node(
            "CLIPTextEncode", title, wide=360, high=150, clip=self.mini["CLIP"], text=text
        )

    def schedule(self, text: str, wide: int = 420) -> Node:
        return self.node(
            "CausVid_PromptSchedule",
            "Scenes",
            wide=wide,
            high=480,
            clip=self.mini["CLIP"],
            text=text,
        )

    def shot(
        self,
        title: str,
        prompt: Node | None = None,
        kind: str = "CausVid_TextToVideo",
        **inputs: Any,
    ) -> Node:
        """A node that makes video at the Mini's size, with seed 1 unless `inputs` have another.

        prompt: an encoded text, or a node with scheduled PROMPTS. inputs: outputs and values.
        """
        shared: dict[str, Any] = {
            "model": self.mini["MODEL"],
            "width": MINI_PX,
            "height": MINI_PX,
            "seed": 1,
        }
        if kind != "CausVid_TextToVideo":
            shared["vae"] = self.mini["VAE"]
        if prompt is not None and prompt.has("PROMPTS"):
            shared["prompts"] = prompt["PROMPTS"]
        elif prompt is not None:
            shared["positive"] = prompt["CONDITIONING"]
        return self.node(kind, title, wide=340, **(shared | inputs))

    def film(self, latent: Output, name: str, title: str) -> list[list[Node]]:
        """Two columns that decode a latent and save it as a video."""
        images = self.decoded(latent)
        video = self.video(images)
        return [[images, video], [self.saved(video, f"video/causvid_{name}", title)]]

    def decoded(self, latent: Output) -> Node:
        return self.node("VAEDecode", wide=260, samples=latent, vae=self.mini["VAE"])

    def video(self, images: Node, title: str = "") -> Node:
        return self.node("CreateVideo", title, wide=260, images=images["IMAGE"], fps=FPS)

    def saved(self, video: Node, prefix: str | Output, title: str) -> Node:
        return self.node("SaveVideo", title, wide=360, video=video["VIDEO"], filename_prefix=prefix)

    def saved_stream(self, title: str, stream: Node, prefix: str, wide: int = 340) -> Node:
        return self.node(
            "CausVid_SaveStream", title, wide=wide, stream=stream["STREAM"], filename_prefix=prefix
        )
