"""The samples of a run, one by one, as tensors with the encoding of their prompt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ...mini.text_encoder import TextEncoder
from ..guidance import Conditioning
from ..latents import read_world
from ..shards import ShardSet
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


class Texts(Protocol):
    """Encodings of prompts."""

    def encode(self, prompt: str) -> Tensor:
        """[l, text_dim] in float32, without padding; l is 0 for the Mini's empty prompt."""


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
        texts = data.texts or data.folder
        self.texts: Texts = MiniTexts() if texts == "mini" else ShardTexts(Path(texts), skip)
        self._experiment = experiment
        self._width = experiment.model.config.text_dim

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
        conditioning = self.conditioning([prompt for prompt, _ in samples])
        return Batch(tensors, conditioning, Draws(run.seed, step, purpose, places), places)

    def prompts(self, step: int, places: Sequence[int]) -> list[str]:
        """The prompts at some places of a step's batch."""
        size, seed = self._experiment.batch.size, self._experiment.run.seed
        chosen = samples_of(step, size, len(self.source), seed)
        return [self.source[chosen[place]][0] for place in places]

    def conditioning(self, prompts: Sequence[str]) -> Conditioning:
        """Prompts as the model reads them, on the CPU. ConfigError for another text encoder's."""
        encoded = [self.texts.encode(prompt) for prompt in prompts]
        for text in encoded:
            if text.shape[1] != self._width:
                raise ConfigError(
                    f"the prompts are encoded in {text.shape[1]} values; the model reads "
                    f"{self._width} (data.texts)"
                )
        lengths = torch.tensor([len(text) for text in encoded])
        # A prompt of no words is padding alone, which needs one row to stand in.
        rows = [text if len(text) else torch.zeros(1, self._width) for text in encoded]
        return Conditioning(pad_sequence(rows, batch_first=True), lengths)

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


class MiniTexts:
    """The Mini's text encoder."""

    def __init__(self) -> None:
        self._encoder = TextEncoder.load()

    def encode(self, prompt: str) -> Tensor:
        return self._encoder.embed(prompt)


class ShardTexts:
    """Encodings that were made beforehand, by prompt."""

    def __init__(self, folder: Path, skip_damaged: bool) -> None:
        self._set = ShardSet(folder.expanduser(), kind="texts", skip_damaged=skip_damaged)
        self._index = {prompt: index for index, prompt in enumerate(self._set.prompts)}
        self._folder = folder

    def encode(self, prompt: str) -> Tensor:
        if prompt not in self._index:
            raise ConfigError(
                f"{self._folder} has no encoding of the prompt {prompt[:60]!r}; encode it and add "
                "it there (data.texts)"
            )
        return self._set[self._index[prompt]].tensors["context"].float()


class Batch(NamedTuple):
    """What one pass learns from: tensors [B, ...] by name and prompts, on the run's device.

    draws: its randomness. places: where in the step's batch its samples are.
    """

    tensors: dict[str, Tensor]
    conditioning: Conditioning
    draws: Draws
    places: Sequence[int]
