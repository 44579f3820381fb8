"""What all stages of a distillation share: a model that learns, and its samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

import torch
from torch import Tensor

from ...model.binding import BoundWan
from ..conditioning import Conditioning
from ..ema import EMA
from ..network import Network
from .data import Batch, Samples
from .draws import Draws
from .learner import Learner
from .network_settings import Model, Teacher, Transformer
from .networks import make_network
from .ranks import Ranks
from .settings import Experiment
from .tables import ConfigError

Figures = dict[str, float]


class Stage:
    """A model that learns from samples, with an average of its weights.

    `learners` is what checkpoints save, `step` what a run repeats. Making a stage makes its
    networks, which reads files and takes memory.
    """

    purposes: tuple[str, ...] = ("model",)

    def __init__(self, experiment: Experiment, samples: Samples, ranks: Ranks) -> None:
        self.experiment, self.samples, self.ranks = experiment, samples, ranks
        self.passes = experiment.batch.passes(ranks.count)
        # Every pass of every process needs equally many openings: FSDP counts forward passes.
        openings, batch = experiment.data.openings, experiment.batch
        at_once = batch.at_once(ranks.count)
        if openings and openings.per_batch * at_once % batch.size:
            raise ConfigError(
                f"{openings.per_batch} openings of a batch of {batch.size} cannot be shared evenly "
                f"by passes of {at_once} samples; change data.openings.per_batch, batch.size or "
                "batch.per_rank"
            )
        self.learners: dict[str, Learner] = {}
        bound = self._make(experiment.model, trained=True)
        self.learners["model"] = Learner(
            bound.tree, experiment.optimizer, experiment.updates, ranks
        )
        self.network = network_of(bound, experiment, experiment.model)
        average = experiment.ema
        self.ema = EMA(bound.tree, average.decay, average.from_step) if average else None

    def step(self, step: int) -> Figures:
        """Learn from the batch of a step; mutates the learners. Raises NotFinite."""
        figures = self.learners["model"].learn(step, self.losses(step))
        self._update_average(step)
        return figures

    @cached_property
    def no_prompt(self) -> Conditioning:
        """The empty or negative prompt, on the run's device."""
        prompt = self.experiment.data.no_prompt
        return self.samples.conditioning([prompt]).to(self.ranks.device)

    def losses(self, step: int) -> Iterator[Tensor]:
        """The model's loss of each pass; their sum, averaged over the processes, is the step's."""
        raise NotImplementedError

    def batches(self, step: int, purpose: str) -> Iterator[Batch]:
        """What this process learns from in a step, pass by pass, on the run's device."""
        count, device = self.ranks.count, self.ranks.device
        size = self.experiment.batch.at_once(count)
        for number in range(self.passes):
            first = (number * count + self.ranks.rank) * size
            for batch in self.samples.batches(step, purpose, range(first, first + size)):
                tensors = {name: tensor.to(device) for name, tensor in batch.tensors.items()}
                yield batch._replace(tensors=tensors, conditioning=batch.conditioning.to(device))

    def share(self, learned: float, of_all: float) -> float:
        """The weight of a batch's mean loss in the mean of the step, over all processes.

        learned, of_all: how much is learned in the batch and in the whole step. The processes'
        losses are averaged later, hence their number.
        """
        return learned / max(of_all, 1) * self.ranks.count

    def drawn_by_all(
        self, step: int, purpose: str, draw: Callable[[torch.Generator], Tensor]
    ) -> Tensor:
        """What the first draw of each sample gives, for all samples of a step."""
        places = range(self.experiment.batch.size)
        return Draws(self.experiment.run.seed, step, purpose, places).each(draw)

    def _update_average(self, step: int) -> None:
        if self.ema:
            self.ema.update(self.learners["model"].module, step)

    def _make(self, part: Transformer, trained: bool, weights: str = "") -> BoundWan:
        run = self.experiment.run
        return make_network(
            part.config,
            part.weights or weights,
            self.ranks,
            precision=run.precision,
            seed=run.seed,
            trained=trained,
            gradient_checkpointing=trained and run.gradient_checkpointing,
        )


def network_of(bound: BoundWan, experiment: Experiment, part: Model | Teacher) -> Network:
    """The network of a model or a teacher: block by block as the recipe says, or all at once."""
    return Network.of(bound, experiment.recipe) if part.causal else Network.bidirectional(bound)
