"""The samples of a run, as tensors with the embeddings of their prompts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ...storage.shards import Sample, ShardSet
from ..conditioning import Conditioning
from ..data.prompt_embeddings import TENSOR as CONTEXT
from ..data.prompt_embeddings import find_prompt_embeddings
from ..embedded import EmbeddedModel, Source
from .draws import Draws, samples_of
from .settings import Experiment
from .tables import ConfigError

TENSORS = ("latents", "states")


class Batch(NamedTuple):
    """What one forward pass learns from: tensors [B, ...] by name, and prompts, on one device.

    draws: its random numbers. places: where its samples are in the step's batch. given_frames: the
    first latent frames, which are context without loss.
    """

    tensors: dict[str, Tensor]
    conditioning: Conditioning
    draws: Draws
    places: Sequence[int]
    prompts: Sequence[str]
    given_frames: int = 0


class _Set(NamedTuple):
    """Samples of one size (T, H, W), and the places of a step's batch that they fill."""

    source: Source
    folder: str
    size: tuple[int, int, int]
    places: Sequence[int]
    given_frames: int


class Samples:
    """The samples of an experiment with the embeddings of their prompts.

    embedded: the model that the experiment may call by its name. Raises FileNotFoundError,
    ShardError or ValueError, in words, for data that is missing, damaged or of another kind.
    """

    def __init__(self, experiment: Experiment, embedded: EmbeddedModel | None = None) -> None:
        self._experiment, self.embedded = experiment, embedded
        data, size = experiment.data, experiment.batch.size
        opens = data.openings.per_batch if data.openings else 0
        places = [(place + 1) * opens // size > place * opens // size for place in range(size)]
        clips = [place for place, opening in enumerate(places) if not opening]
        self._sets = [self._set(data.folder, data.latent_frames, clips, data.given_frames)]
        if data.openings:
            rest = [place for place, opening in enumerate(places) if opening]
            self._sets.append(self._set(data.openings.folder, data.openings.latent_frames, rest, 0))
        self.source = self._sets[0].source
        kept_with = {
            "world": embedded.name if embedded else "",
            "texts": str(Path(data.folder).expanduser()),
        }
        name = data.texts or kept_with.get(data.kind, "")
        self._encode = find_prompt_embeddings(name, embedded) if name else None

    def batches(self, step: int, purpose: str, places: Sequence[int]) -> Iterator[Batch]:
        """The samples at some places of a step's batch, those of one size together, on the CPU.

        purpose: gives each of a step's updates random numbers of its own. Raises ShardError for a
        shard that was damaged meanwhile, ConfigError for samples smaller than the config's size.
        """
        seed = self._experiment.run.seed
        for part in self._sets:
            own = [place for place in places if place in part.places]
            if not own:
                continue
            chosen = samples_of(step, len(part.places), len(part.source), seed)
            samples = [part.source[chosen[part.places.index(place)]] for place in own]
            tensors = {
                name: torch.stack([_cut(sample.tensors[name], name, part) for sample in samples])
                for name in TENSORS
                if name in samples[0].tensors
            }
            prompts, conditioning = self._encoded(samples)
            draws = Draws(seed, step, purpose, own)
            yield Batch(tensors, conditioning, draws, own, prompts, part.given_frames)

    def loss_frames(self) -> int:
        """Latent frames that a step learns, over all samples of its batch."""
        return sum(len(part.places) * (part.size[0] - part.given_frames) for part in self._sets)

    def first(self, count: int) -> tuple[list[str], Conditioning]:
        """The first prompts, `count` at most, and their embeddings, on the CPU."""
        return self._encoded([self.source[n] for n in range(min(count, len(self.source)))])

    def conditioning(self, prompts: Sequence[str]) -> Conditioning:
        """Embeddings of prompts, on the CPU. Raises ValueError for one that is not encoded."""
        return Conditioning.of([self._context(prompt, {}) for prompt in prompts])

    def _set(self, folder: str, frames: int, places: Sequence[int], given_frames: int) -> _Set:
        data, path = self._experiment.data, Path(folder).expanduser()
        if data.kind != "world":
            skip = data.damaged == "skip"
            source: Source = ShardSet(path, kind=data.kind, skip_damaged=skip)
        elif self.embedded is not None:
            source = self.embedded.open_clips(path)
        else:
            raise ConfigError('data.kind "world" needs the embedded model, which was not given')
        size = (frames, data.latent_height, data.latent_width)
        return _Set(source, folder, size, places, given_frames)

    def _encoded(self, samples: Sequence[Sample]) -> tuple[list[str], Conditioning]:
        embeddings = [self._context(sample.prompt, sample.tensors) for sample in samples]
        return [sample.prompt for sample in samples], Conditioning.of(embeddings)

    def _context(self, prompt: str, tensors: dict[str, Tensor]) -> Tensor:
        """The embedding [l, text_dim] of a sample's prompt."""
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


def _cut(latents: Tensor, name: str, part: _Set) -> Tensor:
    """The first latent frames of a sample [..., T, H, W], in float32."""
    wanted, (frames, height, width) = part.size, latents.shape[-3:]
    if frames < wanted[0] or (height, width) != wanted[1:]:
        raise ConfigError(
            f"the {name} in {part.folder} are {frames} latent frames of {width}x{height}; the "
            f"config asks for {wanted[0]} of {wanted[2]}x{wanted[1]} (data.latent_frames, "
            "data.latent_width, data.latent_height)"
        )
    return latents[..., : wanted[0], :, :].float()
