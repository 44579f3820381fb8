"""A graph around one Mini, and what the templates' stories share."""

from __future__ import annotations

from .graph import Graph, Node, Output, Schemas

MINI_PX = 64
ENDLESS = "causvid-mini-endless"
ROUND = 4.0  # seconds in which a shape comes round and is whole again when the prompt changes
NIGHT, SEA = "over a navy gradient background", "over a teal gradient background"


class Story(Graph):
    """A graph around one Mini, in the order in which an artist reads it."""

    def __init__(self, schemas: Schemas, name: str) -> None:
        super().__init__(schemas, name)
        self.mini = self.node("CausVid_LoadMini", wide=320, high=90)

    def prompt(self, title: str, text: str) -> Node:
        return self.node(
            "CLIPTextEncode", title, wide=360, high=150, clip=self.mini["CLIP"], text=text
        )

    def shot(self, title: str, kind: str = "CausVid_TextToVideo", **inputs: object) -> Node:
        """A node that makes video at the Mini's size. inputs: prompt nodes, outputs and values."""
        size = {"width": MINI_PX, "height": MINI_PX, "model": self.mini["MODEL"]}
        return self.node(kind, title, wide=340, **(size | inputs))

    def film(self, latent: Output, name: str, title: str) -> list[list[Node]]:
        """Two columns that decode a latent and save it as a video."""
        images = self.decoded(latent)
        video = self.node("CreateVideo", wide=260, images=images["IMAGE"], fps=16)
        return [[images, video], [self.saved(video, name, title)]]

    def decoded(self, latent: Output) -> Node:
        return self.node("VAEDecode", wide=260, samples=latent, vae=self.mini["VAE"])

    def saved(self, video: Node, name: str, title: str) -> Node:
        prefix = f"video/causvid_{name}"
        return self.node("SaveVideo", title, wide=360, video=video["VIDEO"], filename_prefix=prefix)
