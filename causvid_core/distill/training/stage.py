"""What all stages of a distillation share: a model that learns, and its samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property

from torch import Tensor

from ...model.binding import BoundWan
from ..ema import EMA
from ..guidance import Conditioning
from ..network import Network
from .data import Batch, Samples
from .draws import Draws
from .learner import Learner
from .networks import make_network
from .ranks import Ranks
from .settings import Experiment, Model, Teacher, Transformer

Figures = dict[str, float]


class Stage:
    """A model that learns from samples, with an average of its weights.

    `learners` is what checkpoints save, `step` what a run repeats. Networks are made here, which
    reads files and takes memory.
    """

    purposes = ("model",)

    def __init__(self, experiment: Experiment, samples: Samples, ranks: Ranks) -> None:
        self.experiment, self.samples, self.ranks = experiment, samples, ranks
        self.passes = experiment.batch.passes(ranks.count)
        self.learners: dict[str, Learner] = {}
        bound = self._make(experiment.model, trained=True)
        self.learners["model"] = Learner(bound, experiment.optimizer, experiment.updates, ranks)
        self.network = network_of(bound, experiment, experiment.model)
        average = experiment.ema
        self.ema = EMA(bound.tree, average.decay, average.from_step) if average else None

    def step(self, step: int) -> Figures:
        """Learn from the batch of a step; mutates the learners. Raises NotFinite."""
        figures = self.learners["model"].learn(step, self.losses(step))
        self._follow(step)
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
        """What this process learns from in a step, pass by pass."""
        count = self.ranks.count
        size = self.experiment.batch.at_once(count)
        for number in range(self.passes):
            first = (number * count + self.ranks.rank) * size
            places = range(first, first + size)
            batch = self.samples.batch(step, purpose, places)
            device = self.ranks.device
            tensors = {name: tensor.to(device) for name, tensor in batch.tensors.items()}
            yield batch._replace(tensors=tensors, conditioning=batch.conditioning.to(device))

    def share(self, learned: Tensor | None = None, of_all: Tensor | None = None) -> float:
        """What the mean of a pass counts for in the mean of the step, over all processes.

        learned, of_all: what is learned in the pass and in the whole step, where that differs
        from sample to sample. The processes' losses are averaged, hence their number.
        """
        if learned is None:
            return 1 / self.passes
        return float(learned.sum() / of_all.sum().clamp(min=1)) * self.ranks.count

    def drawn_by_all(self, step: int, purpose: str, draw: Callable) -> Tensor:
        """What a draw that comes first gives for every sample of a step."""
        places = range(self.experiment.batch.size)
        return Draws(self.experiment.run.seed, step, purpose, places).each(draw)

    def _follow(self, step: int) -> None:
        if self.ema:
            self.ema.update(self.learners["model"].bound.tree, step)

    def _make(self, part: Transformer, trained: bool, weights: str = "") -> BoundWan:
        run = self.experiment.run
        return make_network(
            part.config,
            part.weights or weights,
            self.ranks,
            precision=run.precision,
            seed=run.seed,
            trained=trained,
            recompute=trained and run.recompute,
        )


def network_of(bound: BoundWan, experiment: Experiment, part: Model | Teacher) -> Network:
    """The network of a model or a teacher: block by block as the recipe says, or all at once."""
    return Network.of(bound, experiment.recipe) if part.causal else Network.bidirectional(bound)
