"""Distribution matching: a model, a critic that follows it, and a teacher that both compare to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from ...stream.noise import generator
from ..dmd import (
    Sample,
    critic_loss,
    draw_timesteps,
    generator_loss,
    matching_gradient,
    sample_from_data,
)
from ..guidance import Guidance
from ..network import Network, by_frame
from ..ode import draw_states
from ..rollout_training import draw_exit_step, self_rollout
from .data import Batch, Samples
from .learner import Learner
from .ranks import Ranks
from .settings import Experiment
from .stage import Figures, Stage, network_of


class DistributionMatching(Stage):
    """DMD: the critic learns in every step, the model in every few.

    The model learns from the difference of the teacher's and the critic's scores on its videos.
    """

    purposes = ("model", "critic")

    def __init__(self, experiment: Experiment, samples: Samples, ranks: Ranks) -> None:
        super().__init__(experiment, samples, ranks)
        self._settings, teacher, self._critic = experiment.matching
        self.real = network_of(self._make(teacher, trained=False), experiment, teacher)
        weights = teacher.weights if self._critic.config == teacher.config else ""
        learns = self._make(self._critic, trained=True, weights=weights)
        self.fake = Network.bidirectional(learns)
        self.learners["critic"] = Learner(
            learns.tree, self._critic.optimizer, experiment.steps, ranks
        )
        scale = teacher.guidance_scale
        self._guidance = Guidance(scale, self.no_prompt if scale != 1 else None)
        self._schedule = experiment.recipe.schedule(0)
        self._blocks = self.network.blocks(experiment.data.latent_frames)
        self._distances: list[Tensor] = []

    def step(self, step: int) -> Figures:
        figures: Figures = {}
        critic = self._critic
        update, between = divmod(
            step - critic.warmup_steps, critic.critic_updates_per_generator_update
        )
        if update >= 0 and not between:
            self._distances.clear()
            figures = self.learners["model"].learn(update, self.losses(step))
            distance = self.ranks.mean(torch.stack(self._distances).mean().cpu())
            figures["score_distance"] = float(distance)
            self._update_average(step)
        learned = self.learners["critic"].learn(step, self._critic_losses(step))
        return figures | {f"critic_{name}": value for name, value in learned.items()}

    def losses(self, step: int) -> Iterator[Tensor]:
        make, share = self._maker(step, "model")
        for batch in self.batches(step, "model"):
            sample = make(batch)
            gradient = matching_gradient(
                sample.x0,
                self.real,
                self.fake,
                *self._noise(batch, sample, self.real),
                batch.conditioning,
                self._guidance,
            )
            self._distances.append(gradient.distance.mean())
            yield generator_loss(sample, gradient) * share(sample)

    def _critic_losses(self, step: int) -> Iterator[Tensor]:
        make, _ = self._maker(step, "critic")
        for batch in self.batches(step, "critic"):
            with torch.no_grad():
                sample = make(batch)
            noise, timesteps = self._noise(batch, sample, self.fake)
            loss = critic_loss(self.fake, sample, noise, timesteps, batch.conditioning)
            yield loss / self.passes

    def _maker(
        self, step: int, purpose: str
    ) -> tuple[Callable[[Batch], Sample], Callable[[Sample], float]]:
        """How the model makes the videos of a step, and the weight of a pass's mean loss."""
        if self._settings.inputs == "data":
            drawn = self.drawn_by_all(step, purpose, self._draw)
            frames = by_frame(drawn < len(self._schedule.timesteps), self._blocks)
            everything = int(frames.sum())
            return self._from_data, lambda sample: self.share(
                int(sample.loss_mask.sum()), everything
            )
        drawn_by_all = generator(self.experiment.run.seed, step, purpose, "exit")
        exit_step = draw_exit_step(drawn_by_all, self.experiment.recipe)
        return partial(self._rolled_out, exit_step), lambda sample: 1 / self.passes

    def _from_data(self, batch: Batch) -> Sample:
        drawn, latents = batch.draws.each(self._draw), batch.tensors["latents"]
        noise = batch.draws.normal(*latents.shape[1:]).to(latents.device)
        return sample_from_data(
            self.network, latents, noise, self._schedule, drawn, batch.conditioning
        )

    def _rolled_out(self, exit_step: int, batch: Batch) -> Sample:
        data = self.experiment.data
        size = (data.latent_frames, data.latent_height, data.latent_width)
        return self_rollout(
            self.network,
            self.experiment.recipe,
            (len(batch.draws), self.network.bound.config.out_dim, *size),
            batch.conditioning,
            batch.draws.noise,
            exit_step,
            gradient_frames=self._settings.gradient_frames,
        )

    def _noise(self, batch: Batch, sample: Sample, network: Network) -> tuple[Tensor, Tensor]:
        """Noise of a sample's shape, and the timesteps at which to compare the scores."""
        settings, frames = self._settings, sample.x0.shape[2]
        draw = partial(
            draw_timesteps,
            batch=1,
            parts=len(network.blocks(frames)),
            shift=settings.shift,
            lowest=settings.min_timestep,
            highest=settings.max_timestep,
        )
        noise = batch.draws.normal(*sample.x0.shape[1:]).to(sample.x0.device)
        return noise, batch.draws.each(draw).to(sample.x0.device)

    def _draw(self, generator: torch.Generator) -> Tensor:
        return draw_states(generator, 1, len(self._blocks), len(self._schedule.timesteps) + 1)
