"""What is measured: model, clip and window. Standard library only."""

from dataclasses import dataclass

TIMESTEPS = (1000, 750, 500, 250)
SHIFT = 5.0
PRESET = "self-forcing"  # of the pack's recipes: these timesteps, this shift, blocks of 3
FRAMES_PER_BLOCK = 3
SPACE_SCALE, TIME_SCALE = 8, 4  # px per latent, px frames per latent frame


@dataclass(frozen=True)
class Size:
    """A model and a clip. height and width are those of a latent frame.

    windowed_latent_frames: length of the clip with a window. products: side of the square matrices
    whose product gives the machine's rate. vae_dim: width of the decoder, where it is measured.
    prompt_tokens: rows of the prompt that are not padding.
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


def _size(model: tuple[int, ...], clip: tuple[int, ...], windowed: tuple[int, ...]) -> Size:
    """A row of SIZES. model: dim, ffn_dim, layers, heads, vae_dim, products. clip: latent frames,
    height, width. windowed: latent frames of the clip with a window, and the window.
    """
    of_model = ("dim", "ffn_dim", "num_layers", "num_heads", "vae_dim", "products")
    of_clips = ("latent_frames", "height", "width", "windowed_latent_frames", "window")
    return Size(**dict(zip(of_model + of_clips, model + clip + windowed, strict=True)))


SIZES = {
    "full": _size((512, 2048, 8, 4, 32, 2048), clip=(21, 32, 32), windowed=(21, 6)),
    "quick": _size((128, 256, 2, 1, 8, 256), clip=(9, 8, 8), windowed=(15, 6)),
    "1.3B": _size((1536, 8960, 30, 12, 96, 8192), clip=(21, 60, 104), windowed=(45, 9)),
}
