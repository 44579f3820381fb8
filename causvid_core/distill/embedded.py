"""The model inside the pack, as far as training calls it by its name instead of a file.

Training knows nothing else of it: whoever registers the commands hands an `EmbeddedModel` over.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

if TYPE_CHECKING:
    from torch import Tensor

    from ..storage.shards import Sample

Encode = Callable[[str], "Tensor"]
"""encode(prompt) -> prompt embedding [l, text_dim] in float32, without padding."""


class Source(Protocol):
    """Samples by number, as a `ShardSet` has them.

    `settings` is what all samples share, such as the timesteps of their states.
    """

    settings: dict[str, Any]

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Sample: ...


class EmbeddedModel(NamedTuple):
    """name: what configs and commands call it. text_encoder: loads it. vae: its file.

    open_clips: reads a folder of its world's clips (data.kind "world"). prompt: the prompt of its
    world that a seed and a number give.
    """

    name: str
    text_encoder: Callable[[], Encode]
    vae: Path
    open_clips: Callable[[Path], Source]
    prompt: Callable[[int, int], str]

    def vae_file(self, given: str) -> Path:
        """The file of a VAE that is given by its path, or by the name of this model."""
        return self.vae if given == self.name else Path(given).expanduser()
