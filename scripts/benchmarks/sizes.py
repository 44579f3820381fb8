"""What is measured: model, clip and window. Standard library only."""

from dataclasses import dataclass

TIMESTEPS = (1000, 750, 500, 250)
SHIFT = 5.0
PRESET = "self-forcing"  # of the pack's recipes: these timesteps, this shift, blocks of 3
FRAMES_PER_BLOCK = 3
SPACE_SCALE, TIME_SCALE = 8, 4  # px per latent, px frames per latent frame


@dataclass(frozen=True)
class Size:
    """A model and a clip. height, width, latent_frames and the windowed run's are of latents.

    prompt_tokens: rows of the prompt that are not padding. products: side of the square matrices
    whose product gives the machine's rate. vae_dim: width of the decoder, where it is measured.
    """

    dim: int
    ffn_dim: int
    num_layers: int
    num_heads: int
    height: int
    width: int
    latent_frames: int
    window: int
    windowed_latent_frames: int
    products: int
    vae_dim: int
    prompt_tokens: int = 20
    text_dim: int = 4096
    text_len: int = 512

    @property
    def px_frames(self) -> int:
        """Px frames of the clip."""
        return (self.latent_frames - 1) * TIME_SCALE + 1


SIZES = {
    "full": Size(
        dim=512,
        ffn_dim=2048,
        num_layers=8,
        num_heads=4,
        height=32,
        width=32,
        latent_frames=21,
        window=6,
        windowed_latent_frames=21,
        products=2048,
        vae_dim=32,
    ),
    "quick": Size(
        dim=128,
        ffn_dim=256,
        num_layers=2,
        num_heads=1,
        height=8,
        width=8,
        latent_frames=9,
        window=6,
        windowed_latent_frames=15,
        products=256,
        vae_dim=8,
    ),
    "1.3B": Size(
        dim=1536,
        ffn_dim=8960,
        num_layers=30,
        num_heads=12,
        height=60,
        width=104,
        latent_frames=21,
        window=9,
        windowed_latent_frames=45,
        products=8192,
        vae_dim=96,
    ),
}
