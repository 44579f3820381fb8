"""Where the files of the Mini are."""

from __future__ import annotations

from pathlib import Path

_HERE = Path(__file__).parent
_FILES = {
    "dit": "causvid_mini_dit.safetensors",
    "vae": "causvid_mini_vae.safetensors",
    "text": "causvid_mini_text.safetensors",
    "sketch": "causvid_mini_sketch.safetensors",
}


def weights_path(name: str, folder: Path | None = None) -> Path:
    """The file of the Mini's "dit", "vae", "text" or "sketch": the pack's, or one in a folder."""
    if name not in _FILES:
        raise ValueError(f"The Mini has no part {name!r}; it has {', '.join(_FILES)}.")
    return (folder or _HERE / "weights") / _FILES[name]


def example_jobs_path() -> Path:
    """A list of jobs for the Mini, as `causvid_core.farm` reads it."""
    return _HERE / "example_jobs.csv"
