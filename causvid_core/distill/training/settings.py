"""`Experiment`: everything that decides a training run, frozen and checked."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ...model.config import WanConfig
from ...stream.presets import recipes
from ...stream.recipe import Recipe
from .tables import ConfigError, setting

STAGES = ("flow_matching", "ode_regression", "dmd")
KINDS = ("clips", "ode-pairs", "texts", "world")

SIZES = {
    "mini": WanConfig(dim=256, ffn_dim=768, num_heads=2, num_layers=6),
    "1.3b": WanConfig(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30),
    "14b": WanConfig(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40),
}


@dataclass(frozen=True)
class Shape:
    """The sizes of a network that is none of the named ones; see `WanConfig`."""

    dim: int = setting(least=2)
    ffn_dim: int = setting(least=1)
    num_heads: int = setting(least=1)
    num_layers: int = setting(least=1)
    freq_dim: int = setting(256, least=2)
    text_dim: int = setting(4096, least=1)
    text_len: int = setting(512, least=1)


@dataclass(frozen=True)
class Transformer:
    """A transformer: a size by name or number by number, and the file its weights begin with.

    weights: any checkpoint that `convert` reads; empty for fresh weights.
    """

    size: str = setting("", choices=("", *SIZES))
    weights: str = setting("")
    shape: Shape | None = None

    def __post_init__(self) -> None:
        if bool(self.size) == (self.shape is not None):
            raise ValueError(f"give either a size ({', '.join(SIZES)}) or a table of its shape")

    @property
    def config(self) -> WanConfig:
        """The sizes of the transformer."""
        return SIZES[self.size] if self.shape is None else WanConfig(**asdict(self.shape))


@dataclass(frozen=True)
class Model(Transformer):
    """The network that is trained.

    causal: block by block (the student) rather than all frames at once (the teacher).
    recipe: how it is sampled, by name. context: what a block of a causal model sees of the blocks
    before it as it learns from clips or trajectories: "noisy" ones, each at its own timestep
    (diffusion forcing, CausVid), or "clean" ones as in sampling (teacher forcing, about 1.6 times
    the work).
    """

    causal: bool = True
    recipe: str = setting("causvid", choices=tuple(recipes))
    context: str = setting("noisy", choices=("noisy", "clean"))

    @property
    def forced(self) -> bool:
        """Whether blocks learn after clean ones."""
        return self.context == "clean"


@dataclass(frozen=True)
class Optimizer:
    """AdamW, or Muon for the matrices of the layers and AdamW for everything else.

    matrix_lr: Muon's. warmup_steps: of a linear rise. final_lr_share: what a half cosine leaves
    of the learning rate at the end; 1 keeps it. clip_norm: of the whole gradient.
    """

    lr: float = setting(above=0)
    kind: str = setting("adamw", choices=("adamw", "muon"))
    matrix_lr: float = setting(2e-3, above=0)
    betas: tuple[float, ...] = setting((0.9, 0.999), least=0, most=0.999999)
    weight_decay: float = setting(0.01, least=0)
    clip_norm: float = setting(10.0, above=0)
    warmup_steps: int = setting(0, least=0)
    final_lr_share: float = setting(1.0, least=0, most=1)

    def __post_init__(self) -> None:
        if len(self.betas) != 2:
            raise ValueError(f"betas are {len(self.betas)} numbers; AdamW has 2")


@dataclass(frozen=True)
class Data:
    """What is learned from.

    kind: what `folder` holds: shards of "clips", of "ode-pairs" or of "texts", or "world", clips
    that `train-mini --part latents` encoded. texts: where prompts are encoded, a folder of shards
    of texts or "mini", the Mini's encoder; empty for beside the samples. latent_frames,
    latent_height, latent_width: the size that is trained at; longer clips are cut at their end.
    no_prompt: the empty or negative prompt that guidance leads away from. no_prompt_share: of the
    samples, which learn with that prompt instead of their own. damaged: what to do about a shard
    that cannot be read.
    """

    kind: str = setting(choices=KINDS)
    folder: str = setting()
    texts: str = setting("")
    latent_frames: int = setting(21, least=1)
    latent_height: int = setting(60, least=2)
    latent_width: int = setting(104, least=2)
    no_prompt: str = setting("")
    no_prompt_share: float = setting(0.0, least=0, most=1)
    damaged: str = setting("refuse", choices=("refuse", "skip"))


@dataclass(frozen=True)
class Batch:
    """Samples a step, over all processes, and samples that a process takes at once, at most."""

    size: int = setting(least=1)
    per_rank: int = setting(1, least=1)

    def at_once(self, ranks: int) -> int:
        """Samples that each of `ranks` processes takes at once. Raises ConfigError if they
        cannot share the batch evenly."""
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


@dataclass(frozen=True)
class FlowMatching:
    """shift: of the timesteps, which are drawn evenly before it. recipe_share: of the blocks,
    which are trained at the recipe's own timesteps instead."""

    shift: float = setting(5.0, above=0)
    recipe_share: float = setting(0.0, least=0, most=1)


@dataclass(frozen=True)
class Teacher(Transformer):
    """The real score of DMD. guidance: cond + guidance * (cond - uncond). causal: block by block,
    for the paper's ablation."""

    guidance: float = setting(3.5, least=0)
    causal: bool = False


@dataclass(frozen=True)
class Critic(Transformer):
    """The fake score of DMD; it begins as the teacher where `weights` is empty and sizes agree.

    steps_per_update: steps of the critic for each of the model. lead_steps: of the critic before
    the model's first: as long as the critic is the teacher itself, what they differ by is noise,
    and Adam makes full steps of it.
    """

    steps_per_update: int = setting(5, least=1)
    lead_steps: int = setting(0, least=0)
    optimizer: Optimizer | None = None


@dataclass(frozen=True)
class DMD:
    """inputs: noised clips ("data", CausVid) or the model's own videos ("self_rollout").

    shift, least_timestep, most_timestep: of the noise at which the scores are compared.
    gradient_frames: the last latent frames of a self-rollout that a gradient reaches.
    """

    inputs: str = setting("data", choices=("data", "self_rollout"))
    shift: float = setting(8.0, above=0)
    least_timestep: float = setting(20.0, least=0, most=1000)
    most_timestep: float = setting(980.0, least=0, most=1000)
    gradient_frames: int = setting(21, least=1)

    def __post_init__(self) -> None:
        if self.least_timestep >= self.most_timestep:
            raise ValueError(
                f"least_timestep {self.least_timestep:g} has to be below most_timestep "
                f"{self.most_timestep:g}"
            )


@dataclass(frozen=True)
class EMA:
    """The average of the weights that is sampled and exported, kept from a step on."""

    decay: float = setting(0.99, least=0, most=0.999999)
    from_step: int = setting(0, least=0)


@dataclass(frozen=True)
class Samples:
    """Videos on the way. vae: a Wan VAE's file, "mini" for the pack's, empty for quick colours."""

    every: int = setting(0, least=0)
    count: int = setting(2, least=1)
    vae: str = setting("")
    guided_steps: int = setting(50, least=1)
    guidance: float = setting(5.0, least=0)


@dataclass(frozen=True)
class Run:
    """Where a run lives and how it computes.

    precision: of the arithmetic; weights and optimisers stay in float32. recompute: keep only
    the inputs of each layer and compute it again for the gradient. keep: newest checkpoints.
    """

    folder: str = setting()
    seed: int = setting(0, least=0)
    precision: str = setting("bf16", choices=("bf16", "fp32"))
    recompute: bool = True
    checkpoint_every: int = setting(100, least=1)
    keep: int = setting(2, least=1)
    log_every: int = setting(10, least=1)
    tensorboard: bool = True


@dataclass(frozen=True)
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
        needed = ("dmd", "teacher", "critic") if self.stage == "dmd" else ()
        for name in needed:
            if getattr(self, name) is None:
                raise ValueError(f"stage dmd needs a table [{name}]")
        if needed and self.critic.optimizer is None:
            raise ValueError("stage dmd needs a table [critic.optimizer]")
        if needed and self.critic.lead_steps >= self.steps:
            raise ValueError(
                f"critic.lead_steps {self.critic.lead_steps} leaves the model none of "
                f"{self.steps} steps"
            )
        if self.stage != "flow_matching" and not self.model.causal:
            raise ValueError(f"stage {self.stage} trains a causal model; leave model.causal out")
        if self.model.forced and (self.stage == "dmd" or not self.model.causal):
            raise ValueError(
                'model.context = "clean" is for causal models that learn from clips or '
                "trajectories; leave it out"
            )
        fitting = self._fitting_data()
        if self.data.kind not in fitting:
            raise ValueError(
                f"data.kind is {self.data.kind!r}; this stage learns from {' or '.join(fitting)}"
            )
        self.model.config.grid(self.data.latent_height, self.data.latent_width)

    def _fitting_data(self) -> tuple[str, ...]:
        if self.stage == "ode_regression":
            return ("ode-pairs",)
        if self.dmd and self.dmd.inputs == "self_rollout":
            return ("texts", "clips", "world")
        return ("clips", "world")

    @property
    def updates(self) -> int:
        """Steps in which the model learns."""
        if self.stage != "dmd":
            return self.steps
        return -(-(self.steps - self.critic.lead_steps) // self.critic.steps_per_update)

    @property
    def recipe(self) -> Recipe:
        """How the trained model is sampled."""
        return recipes[self.model.recipe]
