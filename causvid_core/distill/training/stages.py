"""The stages that learn from given latents, and all stages by name."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from ...stream.schedule import TABLE, shifted
from ..guidance import draw_unconditional
from ..network import by_frame, flow_matching_loss
from ..ode import draw_states, ode_regression_loss
from .data import Batch, Samples
from .matching import DistributionMatching
from .ranks import Ranks
from .settings import Experiment
from .stage import Stage
from .tables import ConfigError


class FlowMatching(Stage):
    """A teacher from data, or a causal model, one timestep a block."""

    def losses(self, step: int) -> Iterator[Tensor]:
        everything = self.samples.loss_frames()
        for batch in self.batches(step, "model"):
            frames = batch.tensors["latents"].shape[2] - batch.given_frames
            yield self._loss(batch) * self.share(frames * len(batch.places), everything)

    def _loss(self, batch: Batch) -> Tensor:
        draws, settings = batch.draws, self.experiment.flow_matching
        latents = batch.tensors["latents"]
        device, frames = latents.device, latents.shape[2]
        blocks = self.network.blocks(frames)
        chosen = draws.each(partial(self._timesteps, blocks=len(blocks)))
        timesteps = by_frame(chosen, blocks).to(device)
        noise = draws.normal(*latents.shape[1:]).to(device)
        conditioning = batch.conditioning
        if probability := self.experiment.data.unconditional_probability:
            draw = partial(draw_unconditional, batch=1, probability=probability)
            conditioning = conditioning.replaced(draws.each(draw).to(device), self.no_prompt)
        context_noise = None
        if settings.context_noise:
            context_noise = draws.normal(*latents.shape[1:])
            share = draws.each(lambda own: torch.rand(1, 1, 1, 1, 1, generator=own))
            context_noise *= settings.context_noise * share
            context_noise = context_noise.to(device)
        loss_mask = torch.arange(frames, device=device) >= batch.given_frames
        return flow_matching_loss(
            self.network,
            latents,
            noise,
            timesteps,
            conditioning,
            loss_mask.expand(len(latents), -1) if batch.given_frames else None,
            teacher_forcing=self.experiment.model.teacher_forcing,
            context_noise=context_noise,
        )

    def _timesteps(self, generator: torch.Generator, blocks: int) -> Tensor:
        """One timestep a block, [1, blocks]: any, or for a share of them one of the recipe's."""
        settings = self.experiment.flow_matching
        anywhere = TABLE * shifted(torch.rand(1, blocks, generator=generator), settings.shift)
        own = torch.tensor(self.experiment.recipe.schedule(0).timesteps)
        chosen = own[torch.randint(len(own), (1, blocks), generator=generator)]
        free = torch.rand(1, blocks, generator=generator) >= settings.recipe_share
        return torch.where(free, anywhere, chosen)


class OdeRegression(Stage):
    """A student that learns to jump to the end of the teacher's trajectories."""

    def __init__(self, experiment: Experiment, samples: Samples, ranks: Ranks) -> None:
        super().__init__(experiment, samples, ranks)
        self._schedule = experiment.recipe.schedule(0)
        kept = samples.source.settings.get("timesteps")
        wanted = [round(t, 1) for t in self._schedule.timesteps]
        if kept is not None and [round(t, 1) for t in kept if t > 0] != wanted:
            raise ConfigError(
                f"the ODE pairs in {experiment.data.folder} keep the states at {kept}; the recipe "
                f"{experiment.model.recipe} is sampled at {list(self._schedule.timesteps)}"
            )
        self._blocks = self.network.blocks(experiment.data.latent_frames)

    def losses(self, step: int) -> Iterator[Tensor]:
        everything = self._loss_frames(self.drawn_by_all(step, "model", self._draw))
        for batch in self.batches(step, "model"):
            drawn, states = batch.draws.each(self._draw), batch.tensors["states"]
            loss = ode_regression_loss(
                self.network,
                states,
                self._schedule,
                drawn,
                batch.conditioning,
                teacher_forcing=self.experiment.model.teacher_forcing,
            )
            yield loss * self.share(self._loss_frames(drawn), everything)

    def _draw(self, generator: torch.Generator) -> Tensor:
        states = len(self._schedule.timesteps)
        if not self.experiment.model.teacher_forcing:
            states += 1  # the end, context for later blocks
        return draw_states(generator, 1, len(self._blocks), states)

    def _loss_frames(self, drawn: Tensor) -> int:
        return int(by_frame(drawn < len(self._schedule.timesteps), self._blocks).sum())


STAGES: dict[str, type[Stage]] = {
    "flow_matching": FlowMatching,
    "ode_regression": OdeRegression,
    "dmd": DistributionMatching,
}
