"""The samples of a run, one by one, as tensors with the encoding of their prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from ...mini.training.latents import read_world
from ...storage.shards import ShardSet
from ..data.texts import MINI, find_texts
from ..data.texts import TENSOR as CONTEXT
from ..guidance import Conditioning
from .draws import Draws, samples_of
from .settings import Experiment
from .tables import ConfigError

TENSORS = ("latents", "states")


class Source(Protocol):
    """Samples by number, without batch axes: a prompt and tensors by name.

    `settings` is what all samples share, such as the timesteps of their states.
    """

    settings: dict

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[str, dict[str, Tensor]]: ...


class Samples:
    """The samples of an experiment with the encodings of their prompts.

    Raises FileNotFoundError, ShardError or ValueError, in words, for data that is not there, is
    damaged or is of another kind.
    """

    def __init__(self, experiment: Experiment) -> None:
        data = experiment.data
        folder = Path(data.folder).expanduser()
        skip = data.damaged == "skip"
        self.source: Source = (
            World(folder) if data.kind == "world" else Shards(folder, data.kind, skip)
        )
        self._texts = data.texts or {"world": MINI, "texts": str(folder)}.get(data.kind, "")
        self._encode = find_texts(self._texts) if self._texts else None
        self._experiment = experiment

    def batch(self, step: int, purpose: str, places: Sequence[int]) -> Batch:
        """The samples at some places of a step's batch, on the CPU, cut to the size trained at.

        purpose: sets the randomness of a step's updates apart. Raises ShardError for a shard that
        was damaged meanwhile, ConfigError for samples of another size than the config's.
        """
        run, size = self._experiment.run, self._experiment.batch.size
        chosen = samples_of(step, size, len(self.source), run.seed)
        samples = [self.source[chosen[place]] for place in places]
        tensors = {
            name: torch.stack([self._cut(own[name], name) for _, own in samples])
            for name in TENSORS
            if name in samples[0][1]
        }
        conditioning = Conditioning.of([self._context(*sample) for sample in samples])
        return Batch(tensors, conditioning, Draws(run.seed, step, purpose, places), places)

    def prompts(self, step: int, places: Sequence[int]) -> list[str]:
        """The prompts at some places of a step's batch."""
        size, seed = self._experiment.batch.size, self._experiment.run.seed
        chosen = samples_of(step, size, len(self.source), seed)
        return [self.source[chosen[place]][0] for place in places]

    def first(self, count: int) -> tuple[list[str], Conditioning]:
        """The first prompts, `count` at most, and their encodings, on the CPU."""
        samples = [self.source[index] for index in range(min(count, len(self.source)))]
        encoded = Conditioning.of([self._context(*sample) for sample in samples])
        return [prompt for prompt, _ in samples], encoded

    def conditioning(self, prompts: Sequence[str]) -> Conditioning:
        """Prompts as the model reads them, on the CPU. ValueError for one that is not encoded."""
        return Conditioning.of([self._context(prompt, {}) for prompt in prompts])

    def _context(self, prompt: str, tensors: dict[str, Tensor]) -> Tensor:
        """The encoding [l, text_dim] of a sample's prompt."""
        if self._encode is not None:
            context = self._encode(prompt)
        elif CONTEXT in tensors:
            context = tensors[CONTEXT].float()
        else:
            raise ConfigError(
                f"there is no encoding of {prompt[:60]!r}: name a folder of encoded texts, or "
                '"mini" for the Mini (data.texts)'
            )
        width = self._experiment.model.config.text_dim
        if context.shape[1] != width:
            raise ConfigError(
                f"the prompts are encoded in {context.shape[1]} values; the model reads {width} "
                "(data.texts)"
            )
        return context

    def _cut(self, latents: Tensor, name: str) -> Tensor:
        """The first latent frames of a sample [..., T, H, W], in float32."""
        data = self._experiment.data
        wanted = (data.latent_frames, data.latent_height, data.latent_width)
        frames, *size = latents.shape[-3:]
        if frames < wanted[0] or tuple(size) != wanted[1:]:
            raise ConfigError(
                f"the {name} in {data.folder} are {frames} latent frames of "
                f"{size[1]}x{size[0]}; the config asks for {wanted[0]} of {wanted[2]}x{wanted[1]} "
                "(data.latent_frames, data.latent_width, data.latent_height)"
            )
        return latents[..., : wanted[0], :, :].float()


class Shards:
    """Shards of clips, ODE pairs or texts; each is checked whenever it is read."""

    def __init__(self, folder: Path, kind: str, skip_damaged: bool) -> None:
        self._set = ShardSet(folder, kind=kind, skip_damaged=skip_damaged)
        self.settings = self._set.settings

    def __len__(self) -> int:
        return len(self._set)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Tensor]]:
        sample = self._set[index]
        return sample.prompt, sample.tensors


class World:
    """The Mini's clips, in memory."""

    def __init__(self, folder: Path) -> None:
        self._latents, self._specs = read_world(folder)
        self.settings: dict = {}

    def __len__(self) -> int:
        return len(self._specs)

    def __getitem__(self, index: int) -> tuple[str, dict[str, Tensor]]:
        return self._specs[index].caption, {"latents": self._latents[index]}


class Batch(NamedTuple):
    """What one pass learns from: tensors [B, ...] by name and prompts, on the run's device.

    draws: its randomness. places: where in the step's batch its samples are.
    """

    tensors: dict[str, Tensor]
    conditioning: Conditioning
    draws: Draws
    places: Sequence[int]
