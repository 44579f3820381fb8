"""Which published checkpoint a file is, and so by which preset it is sampled."""

from __future__ import annotations

from pathlib import Path

from ..model.checkpoints import Checkpoint

# Parts of a file's name or repository, most telling first, and the preset that they stand for.
TRACES = {
    "warp_4step": "causvid-4step",
    "causvid-4step": "causvid-4step",
    "framewise-1step": "causal-forcing++-1step",
    "framewise-2step": "causal-forcing++-2step",
    "causal-forcing++-1step": "causal-forcing++-1step",
    "causal-forcing++-2step": "causal-forcing++-2step",
    "forcing-framewise": "causal-forcing-framewise",
    "forcing_framewise": "causal-forcing-framewise",
    "framewise/causal": "causal-forcing-framewise",
    "causal-forcing": "causal-forcing",
    "causal_forcing": "causal-forcing",
    "self-forcing": "self-forcing",
    "self_forcing": "self-forcing",
    "longlive": "longlive",
    "reward": "reward-forcing",
    "krea": "krea-realtime",
    "mini": "causvid-mini",
    "causvid": "causvid",
}


def preset_of(checkpoint: Checkpoint) -> str | None:
    """The preset of a published checkpoint, by its path, its notes and its repository."""
    repository = checkpoint.repository.repo if checkpoint.repository else ""
    for text in (Path(checkpoint.source).name, checkpoint.source, repository):
        text = text.replace("\\", "/").lower()
        found = next((preset for trace, preset in TRACES.items() if trace in text), None)
        if found is not None:
            return found
    return None
