"""Published checkpoints this project knows: where they are, at which commit, under which licence.

A `revision` is the commit the entry was written against; None means that the commit is looked
up once, at the first download, and recorded beside the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

NON_COMMERCIAL = "CC BY-NC-SA 4.0 (non-commercial use only)"
APACHE = "Apache-2.0"
APACHE_CODE = "Apache-2.0 for its code; the terms of the weights are on their model page"
ACADEMIC = "Tencent licence (academic use only)"


@dataclass(frozen=True)
class Repository:
    """A repository on the Hugging Face Hub."""

    repo: str
    licence: str
    revision: str | None = None

    def licence_note(self) -> str:
        """One sentence for logs."""
        return f"weights of {self.repo}, licence: {self.licence}"


@dataclass(frozen=True)
class Download:
    """One thing to download by name.

    `about` says what it is. `local` is the file name it gets, `folder` the host's folder for its
    kind. A `.pt` transformer is converted to a safetensors file of that name; `lora` names a patch
    that is merged while converting; `causal` is false for a model that attends in both directions.
    """

    repository: Repository
    file: str
    about: str
    local: str = ""
    folder: str = "diffusion_models"
    lora: str | None = None
    causal: bool = True


_CAUSVID = Repository("tianweiy/CausVid", NON_COMMERCIAL)
_SELF_FORCING = Repository(
    "gdhe17/Self-Forcing", APACHE_CODE, "2f8b779212da279d212c22a509b66ad6552f350e"
)
_CAUSAL_FORCING = Repository(
    "zhuhz22/Causal-Forcing", APACHE, "2f8eb8bb6eeb1238da9d13e5420d342a74d634a6"
)
_CAUSAL_FORCING_COMFY = Repository("Comfy-Org/causal_forcing_framewise_ComfyUI_repackaged", APACHE)
_LONGLIVE = Repository("Efficient-Large-Model/LongLive-1.3B", APACHE_CODE)
_KREA = Repository("krea/krea-realtime-video", NON_COMMERCIAL)
_ROLLING = Repository("TencentARC/RollingForcing", ACADEMIC)
_REWARD = Repository("JaydenLu666/Reward-Forcing-T2V-1.3B", APACHE_CODE)
_MEMFLOW = Repository("KlingTeam/MemFlow", APACHE_CODE)
_STREAM = Repository(
    "jerryfeng/StreamDiffusionV2",
    f"derived from CausVid, {NON_COMMERCIAL}",
    "2373eb2b39278b3a1aa174964a724ee78ead96f0",
)
_LIGHTX2V_CAUSVID = Repository(
    "lightx2v/Wan2.1-T2V-14B-CausVid", f"derived from CausVid, {NON_COMMERCIAL}"
)
_WAN_1_3B = Repository("Wan-AI/Wan2.1-T2V-1.3B", APACHE, "37ec512624d61f7aa208f7ea8140a131f93afc9a")
_COMFY_WAN = Repository("Comfy-Org/Wan_2.1_ComfyUI_repackaged", APACHE)
_TINY = Repository("lightx2v/Autoencoders", APACHE)

_TABLE = {
    "causvid": Download(_CAUSVID, "autoregressive_checkpoint/model.pt", "CausVid 1.3B, 3 steps"),
    "causvid-4step": Download(
        _CAUSVID,
        "autoregressive_checkpoint_warp_4step_cfg2/model.pt",
        "CausVid 1.3B, 4 warped steps",
    ),
    "self-forcing": Download(
        _SELF_FORCING, "checkpoints/self_forcing_dmd.pt", "Self-Forcing 1.3B (DMD)"
    ),
    "causal-forcing": Download(
        _CAUSAL_FORCING, "chunkwise/causal_forcing.pt", "Causal Forcing 1.3B, blocks of 3"
    ),
    "causal-forcing-framewise": Download(
        _CAUSAL_FORCING, "framewise/causal_forcing.pt", "Causal Forcing 1.3B, blocks of 1"
    ),
    "causal-forcing++-2step": Download(
        _CAUSAL_FORCING,
        "causal-forcing++/framewise-2step.pt",
        "Causal Forcing++ 1.3B, blocks of 1, 2 steps",
    ),
    "causal-forcing++-1step": Download(
        _CAUSAL_FORCING,
        "causal-forcing++/framewise-1step.pt",
        "Causal Forcing++ 1.3B, blocks of 1, 1 step",
    ),
    "causal-forcing-framewise-comfy": Download(
        _CAUSAL_FORCING_COMFY,
        "split_files/diffusion_models/causal_forcing-framewise.safetensors",
        "Causal Forcing framewise as ComfyUI publishes it",
    ),
    "longlive": Download(
        _LONGLIVE,
        "models/longlive_base.pt",
        "LongLive 1.3B, base and LoRA merged",
        lora="models/lora.pt",
    ),
    "krea-realtime": Download(_KREA, "krea-realtime-video-14b.safetensors", "Krea Realtime 14B"),
    "rolling-forcing": Download(
        _ROLLING,
        "checkpoints/rolling_forcing_dmd.pt",
        "Rolling Forcing 1.3B (made for its own sampler)",
    ),
    "reward-forcing": Download(_REWARD, "rewardforcing.pt", "Reward Forcing 1.3B"),
    "memflow": Download(_MEMFLOW, "base.pt", "MemFlow 1.3B, without its memory", lora="lora.pt"),
    "streamdiffusion-v2": Download(
        _STREAM, "wan_causal_dmd_v2v/model.pt", "StreamDiffusionV2 1.3B, video to video"
    ),
    "causvid-14b": Download(
        _LIGHTX2V_CAUSVID,
        "causal_model.safetensors",
        "CausVid 14B by LightX2V",
        "causvid-14b.safetensors",
    ),
    "wan-1.3b": Download(
        _WAN_1_3B,
        "diffusion_pytorch_model.safetensors",
        "Wan 2.1 T2V 1.3B, the bidirectional teacher",
        "wan2.1_t2v_1.3B.safetensors",
        causal=False,
    ),
    "wan-vae": Download(
        _COMFY_WAN, "split_files/vae/wan_2.1_vae.safetensors", "Wan 2.1 VAE", folder="vae"
    ),
    "umt5-fp8": Download(
        _COMFY_WAN,
        "split_files/text_encoders/umt5_xxl_fp8_e4m3fn_scaled.safetensors",
        "text encoder, 6.7 GB",
        folder="text_encoders",
    ),
    "umt5-fp16": Download(
        _COMFY_WAN,
        "split_files/text_encoders/umt5_xxl_fp16.safetensors",
        "text encoder, 11.4 GB",
        folder="text_encoders",
    ),
    "lighttae": Download(_TINY, "lighttaew2_1.pth", "tiny decoder, previews", folder="vae_approx"),
}


def _local(name: str, entry: Download) -> str:
    """The file's own name; `.pt` files of several repositories share theirs and get the table's."""
    path = PurePath(entry.file)
    return entry.local or (f"{name}.pt" if path.suffix == ".pt" else path.name)


DOWNLOADS = {name: replace(entry, local=_local(name, entry)) for name, entry in _TABLE.items()}
"""Everything that can be downloaded by name."""

_LICENCE_ONLY = (
    Repository("SOTAMak1r/Infinite-Forcing", "see its model page"),
    Repository("Kijai/WanVideo_comfy", "that of each file's original model"),
    Repository("Wan-AI/Wan2.1-T2V-14B", APACHE, "a064a6c71f5be440641209c07bf2a5ce7a2ff5e4"),
)


_PLAIN_WORDS = ("causvid", "autoencoders")
"""Names of repositories that are names of other folders too, such as this pack's own."""


def repositories() -> tuple[Repository, ...]:
    """Every known repository, once."""
    listed = (entry.repository for entry in DOWNLOADS.values())
    return tuple(dict.fromkeys((*listed, *_LICENCE_ONLY)))


def recognise(source: str, notes: Mapping[str, Any]) -> Repository | None:
    """The known repository a file came from, by its notes, its path or its file name."""
    named = {entry.repo.lower(): entry for entry in repositories()}
    stated = str(notes.get("repository", "")).lower()
    if stated in named:
        return named[stated]
    path = PurePath(source.replace("\\", "/"))
    text = str(path).lower()
    for repo, entry in named.items():
        owner, _, name = repo.partition("/")
        if f"{owner}/{name}" in text or f"models--{owner}--{name}" in text:
            return entry
        if name not in _PLAIN_WORDS and name in (part.lower() for part in path.parts[:-1]):
            return entry
    files = {PurePath(d.local).stem: d.repository for d in DOWNLOADS.values()} | {
        PurePath(d.file).stem: d.repository
        for d in DOWNLOADS.values()
        if PurePath(d.file).stem not in ("model", "base", "diffusion_pytorch_model", "causal_model")
    }
    return files.get(path.stem)
