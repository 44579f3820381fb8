"""The tables of a config that describe networks and how each of them learns."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from ...model.config import WanConfig
from ...stream.presets import recipes
from .tables import setting

SIZES = {
    "mini": WanConfig(dim=256, ffn_dim=768, num_heads=2, num_layers=6),
    "1.3b": WanConfig(dim=1536, ffn_dim=8960, num_heads=12, num_layers=30),
    "14b": WanConfig(dim=5120, ffn_dim=13824, num_heads=40, num_layers=40),
}


@dataclass(frozen=True, kw_only=True)
class Shape:
    """The sizes of a network that has no name; see `WanConfig`."""

    dim: int = setting(least=2)
    ffn_dim: int = setting(least=1)
    num_heads: int = setting(least=1)
    num_layers: int = setting(least=1)
    freq_dim: int = setting(256, least=2)
    text_dim: int = setting(4096, least=1)
    text_len: int = setting(512, least=1)


@dataclass(frozen=True, kw_only=True)
class Transformer:
    """A transformer: a named size or a table of its shape, and its first weights.

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


@dataclass(frozen=True, kw_only=True)
class Model(Transformer):
    """The network to train.

    causal: block by block (the student) rather than all frames at once (the teacher). recipe: how
    it is sampled, by name. context: the blocks that a block of a causal model sees before it when
    it learns from clips or trajectories: "noisy" ones, each at its own timestep (diffusion forcing,
    CausVid), or "clean" ones as in sampling (teacher forcing, about 1.6 times the work).
    """

    causal: bool = True
    recipe: str = setting("causvid", choices=tuple(recipes))
    context: str = setting("noisy", choices=("noisy", "clean"))

    @property
    def teacher_forcing(self) -> bool:
        """Whether blocks learn after clean blocks."""
        return self.context == "clean"


@dataclass(frozen=True, kw_only=True)
class Optimizer:
    """AdamW, or Muon for the matrices of the layers and AdamW for everything else.

    matrix_lr: Muon's. warmup_steps: the learning rate rises linearly over so many. final_lr_share:
    the part of the learning rate that a half cosine leaves at the end; 1 keeps it constant.
    clip_norm: the greatest norm of the whole gradient.
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


@dataclass(frozen=True, kw_only=True)
class Teacher(Transformer):
    """The real score of DMD.

    guidance_scale: CFG's, as samplers count it; 1 is the prompt alone. causal: block by block, for
    the paper's ablation.
    """

    guidance_scale: float = setting(4.5, least=1)
    causal: bool = False


@dataclass(frozen=True, kw_only=True)
class Critic(Transformer):
    """The fake score of DMD; it begins as the teacher where `weights` is empty and sizes agree.

    critic_updates_per_generator_update: steps of the critic for each of the model. warmup_steps:
    steps of the critic before the model's first. While the critic is still the teacher itself, the
    difference of their scores is noise, of which Adam would make full steps.
    """

    critic_updates_per_generator_update: int = setting(5, least=1)
    warmup_steps: int = setting(0, least=0)
    optimizer: Optimizer = setting()
