"""`Experiment`: all settings of a training run, frozen and checked."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ...stream.presets import recipes
from ...stream.recipe import Recipe
from .network_settings import Critic, Model, Optimizer, Teacher
from .tables import ConfigError, setting

STAGES = ("flow_matching", "ode_regression", "dmd")
KINDS = ("clips", "ode-pairs", "texts", "world")


@dataclass(frozen=True, kw_only=True)
class Openings:
    """Shorter samples, such as the first block alone, that fill a part of every batch.

    They come from a folder of their own, of the same kind as the clips. per_batch: how many.
    """

    folder: str = setting()
    latent_frames: int = setting(3, least=1)
    per_batch: int = setting(least=1)


@dataclass(frozen=True, kw_only=True)
class Data:
    """What to learn from.

    kind: what `folder` holds: shards of "clips", of "ode-pairs" or of "texts", or "world", clips
    from `train-mini --part latents`. texts: where prompt embeddings come from: a folder of shards
    of texts, or "mini" for the Mini's text encoder; empty for those stored with the samples.
    latent_frames, latent_height, latent_width: the size to train at; longer clips are cut at their
    end. given_frames: the first latent frames of a clip, which are context without loss. no_prompt:
    the empty or negative prompt that guidance leads away from. unconditional_probability: how
    likely a sample learns with that prompt instead of its own. damaged: whether to refuse or skip
    a shard that cannot be read.
    """

    kind: str = setting(choices=KINDS)
    folder: str = setting()
    texts: str = setting("")
    latent_frames: int = setting(21, least=1)
    latent_height: int = setting(60, least=2)
    latent_width: int = setting(104, least=2)
    given_frames: int = setting(0, least=0)
    openings: Openings | None = None
    no_prompt: str = setting("")
    unconditional_probability: float = setting(0.0, least=0, most=1)
    damaged: str = setting("refuse", choices=("refuse", "skip"))

    def __post_init__(self) -> None:
        if self.given_frames >= self.latent_frames:
            raise ValueError(
                f"given_frames {self.given_frames} leaves none of {self.latent_frames} latent "
                "frames to learn"
            )


@dataclass(frozen=True, kw_only=True)
class Batch:
    """size: samples a step, over all processes. per_rank: the most that a process takes at once."""

    size: int = setting(least=1)
    per_rank: int = setting(1, least=1)

    def at_once(self, ranks: int) -> int:
        """Samples that each of `ranks` processes takes at once.

        Raises ConfigError when they cannot share the batch evenly.
        """
        own, rest = divmod(self.size, ranks)
        together = min(self.per_rank, own)
        if rest or own % together:
            raise ConfigError(
                f"a batch of {self.size} cannot be shared by {ranks} processes that take up to "
                f"{self.per_rank} samples at once; change batch.size or batch.per_rank"
            )
        return together

    def passes(self, ranks: int) -> int:
        """Forward and backward passes a step on each of `ranks` processes."""
        return self.size // (ranks * self.at_once(ranks))


@dataclass(frozen=True, kw_only=True)
class FlowMatching:
    """shift: of the timesteps, which are drawn uniformly before it. recipe_share: the share of
    blocks that learn at the recipe's own timesteps instead. context_noise: the most noise that is
    added to clean blocks before others, which in sampling are not perfect either.
    """

    shift: float = setting(5.0, above=0)
    recipe_share: float = setting(0.0, least=0, most=1)
    context_noise: float = setting(0.0, least=0)


@dataclass(frozen=True, kw_only=True)
class DMD:
    """inputs: noised clips ("data", CausVid) or the model's own videos ("self_rollout").

    shift, min_timestep, max_timestep: of the noise at which the scores are compared.
    gradient_frames: the last latent frames of a self-rollout that a gradient reaches.
    """

    inputs: str = setting("data", choices=("data", "self_rollout"))
    shift: float = setting(8.0, above=0)
    min_timestep: float = setting(20.0, least=0, most=1000)
    max_timestep: float = setting(980.0, least=0, most=1000)
    gradient_frames: int = setting(21, least=1)

    def __post_init__(self) -> None:
        if self.min_timestep >= self.max_timestep:
            raise ValueError(
                f"min_timestep {self.min_timestep:g} has to be below max_timestep "
                f"{self.max_timestep:g}"
            )


@dataclass(frozen=True, kw_only=True)
class EMA:
    """The average of the weights, which is sampled and exported; it begins at a step."""

    decay: float = setting(0.99, least=0, most=0.999999)
    from_step: int = setting(0, least=0)


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Videos to make during the run.

    vae: the file of a Wan VAE, "mini" for the pack's, or empty for rough colours. guided_steps,
    guidance_scale: how a bidirectional model is sampled.
    """

    every: int = setting(0, least=0)
    count: int = setting(2, least=1)
    vae: str = setting("")
    guided_steps: int = setting(50, least=1)
    guidance_scale: float = setting(6.0, least=1)


@dataclass(frozen=True, kw_only=True)
class Run:
    """Where a run is kept and how it computes.

    precision: of the arithmetic; weights and optimisers stay in float32. gradient_checkpointing:
    keep only the inputs of each layer and compute it again for the gradient. keep: how many of the
    newest checkpoints.
    """

    folder: str = setting()
    seed: int = setting(0, least=0)
    precision: str = setting("bf16", choices=("bf16", "fp32"))
    gradient_checkpointing: bool = True
    checkpoint_every: int = setting(100, least=1)
    keep: int = setting(2, least=1)
    log_every: int = setting(10, least=1)
    tensorboard: bool = True


class Matching(NamedTuple):
    """The tables of stage dmd."""

    dmd: DMD
    teacher: Teacher
    critic: Critic


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One stage of a distillation. See `docs/training.md` and the files in `configs`."""

    stage: str = setting(choices=STAGES)
    steps: int = setting(least=1)
    run: Run
    model: Model
    data: Data
    batch: Batch
    optimizer: Optimizer
    flow_matching: FlowMatching = FlowMatching()
    dmd: DMD | None = None
    teacher: Teacher | None = None
    critic: Critic | None = None
    ema: EMA | None = None
    samples: Samples = Samples()

    def __post_init__(self) -> None:
        if self.stage == "dmd" and (lead := self.matching.critic.warmup_steps) >= self.steps:
            raise ValueError(
                f"critic.warmup_steps {lead} leaves the model none of {self.steps} steps"
            )
        if self.stage != "flow_matching" and not self.model.causal:
            raise ValueError(f"stage {self.stage} trains a causal model; leave model.causal out")
        if self.model.teacher_forcing and (self.stage == "dmd" or not self.model.causal):
            raise ValueError(
                'model.context = "clean" is for causal models that learn from clips or '
                "trajectories; leave it out"
            )
        if self.flow_matching.context_noise and not self.model.teacher_forcing:
            raise ValueError('flow_matching.context_noise needs model.context = "clean"')
        self._check_data()
        self.model.config.grid(self.data.latent_height, self.data.latent_width)

    def _check_data(self) -> None:
        if self.stage == "ode_regression":
            fitting: tuple[str, ...] = ("ode-pairs",)
        elif self.dmd and self.dmd.inputs == "self_rollout":
            fitting = ("texts", "clips", "world")
        else:
            fitting = ("clips", "world")
        data, openings = self.data, self.data.openings
        if data.kind not in fitting:
            raise ValueError(
                f"data.kind is {data.kind!r}; this stage learns from {' or '.join(fitting)}"
            )
        if self.stage != "flow_matching" and (openings or data.given_frames):
            raise ValueError("only stage flow_matching takes data.openings and data.given_frames")
        if openings and openings.per_batch >= self.batch.size:
            raise ValueError(
                f"data.openings.per_batch {openings.per_batch} leaves no clips in a batch of "
                f"{self.batch.size}"
            )

    @property
    def matching(self) -> Matching:
        """The tables of stage dmd. Raises ValueError naming one that is missing."""
        dmd, teacher, critic = self.dmd, self.teacher, self.critic
        for name, table in (("dmd", dmd), ("teacher", teacher), ("critic", critic)):
            if table is None:
                raise ValueError(f"stage dmd needs a table [{name}]")
        assert dmd and teacher and critic
        return Matching(dmd, teacher, critic)

    @property
    def updates(self) -> int:
        """Steps in which the model learns."""
        if self.stage != "dmd":
            return self.steps
        critic = self.matching.critic
        steps = self.steps - critic.warmup_steps
        return -(-steps // critic.critic_updates_per_generator_update)

    @property
    def recipe(self) -> Recipe:
        """How the trained model is sampled."""
        return recipes[self.model.recipe]
