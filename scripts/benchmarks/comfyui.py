"""ComfyUI's own autoregressive sampler against this pack's nodes, in ComfyUI.

Both have the same weights, prompt, size and noise levels, and their runs alternate. Then one of
this pack's nodes against a chain of them (see `chain`). Time counts from the start of the sampling
node to its end, without loading, decoding and saving. Run by `child.measure`.
"""

import json
import shutil
import statistics
import struct
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hosting.client import Message, locked
from hosting.environment import Environment
from hosting.graph import Prompt
from hosting.host import Host
from hosting.pins import NEWEST

from causvid_core import recipes

from .chain import CHAIN, SAMPLER, WAYS, chain_prompts
from .child import PeakMemory, answer
from .sizes import FRAMES_PER_BLOCK, PRESET, SHIFT, SIZES, SPACE_SCALE, TIMESTEPS, Size

ARGUMENTS = ("--use-pytorch-cross-attention",)
OFFLINE = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1"}
MODEL_FILE = "benchmark.safetensors"
LIVE_SETTING = "CausVid.LiveFrames"
SECRET = "of a page that would show the frames"
WARM_UP_LATENT_FRAMES = FRAMES_PER_BLOCK
Nodes = dict[str, tuple[str, dict[str, Any]]]  # type and inputs by id


class NodeTimer:
    """A listener of runs that adds up the seconds in which some nodes work."""

    def __init__(self, *nodes: str) -> None:
        self._nodes, self._started, self.seconds = nodes, 0.0, 0.0

    def __call__(self, message: Message) -> None:
        if not isinstance(message, dict) or message["type"] != "executing":
            return
        now = time.perf_counter()
        if self._started:
            self.seconds += now - self._started
        self._started = now if message["data"].get("node") in self._nodes else 0.0


def compare(size: str, weights: str, home: str, rounds: int) -> dict[str, Any]:
    """Seconds of both samplers in every round, their ratios, and the peak memory of each.

    weights: a file as `convert` writes it. home: folder of the environment. Each sampler has its
    own server, which idles while the other one works; memory counts from before the model is
    loaded. live: seconds with frames sent to the browser, and without.
    """
    sizes, names = SIZES[size], ("theirs", "ours")
    seconds: dict[str, list[float]] = {name: [] for name in names}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        hosts = {
            name: stack.enter_context(_host(Path(home), Path(folder) / name, weights))
            for name in names
        }
        peaks = {
            name: stack.enter_context(PeakMemory(host.server.pid)) for name, host in hosts.items()
        }
        for name in names:
            _run(hosts[name], sizes, name, WARM_UP_LATENT_FRAMES, seed=0)
        for turn in range(rounds):
            for name in names if turn % 2 == 0 else names[::-1]:
                spent = _run(hosts[name], sizes, name, sizes.latent_frames, seed=turn + 1)
                seconds[name].append(spent)
        memory = {f"{name}_peak_bytes": peak.bytes for name, peak in peaks.items()}
        chains: dict[str, list[float]] = {way: [] for way in WAYS}
        for turn in range(rounds):
            for way in WAYS if turn % 2 == 0 else WAYS[::-1]:
                chains[way].append(_run_chain(hosts["ours"], sizes, way, rounds + turn + 1))
        live: dict[str, list[float]] = {"sent": [], "not_sent": []}
        for turn in range(rounds):
            for place, name in enumerate(live if turn % 2 == 0 else reversed(live)):
                hosts["ours"].client.post(f"/settings/{LIVE_SETTING}", name == "sent")
                seed = 3 * rounds + 2 * turn + place  # equal inputs would be cached
                live[name].append(_run(hosts["ours"], sizes, "ours", sizes.latent_frames, seed))
    ratios = [a / b for a, b in zip(seconds["theirs"], seconds["ours"], strict=True)]
    return {
        "release": NEWEST,
        "arguments": ARGUMENTS,
        **seconds,
        **memory,
        "ratios": ratios,
        "median_ratio": statistics.median(ratios),
        "chains": chains,
        "live": live,
    }


def _host(home: Path, base: Path, weights: str) -> Host:
    """A server with the weights in its models folder and as many threads as this process."""
    models = base / "models" / "diffusion_models"
    models.mkdir(parents=True)
    shutil.copy(weights, models / MODEL_FILE)
    packs = [Path(__file__).with_name("random_prompt")]
    return Host(Environment(home, say=lambda line: None), NEWEST, base, packs, ARGUMENTS, OFFLINE)


def _run(host: Host, size: Size, name: str, latent_frames: int, seed: int) -> float:
    """Seconds of the sampling node. Raises RuntimeError when it fails or its latents are wrong."""
    graph = {"theirs": own_sampler, "ours": pack_nodes}[name]
    timer = NodeTimer(SAMPLER)
    run = host.run(graph(host.object_info, size, latent_frames, seed), timer, 3600, locked(SECRET))
    if run.status != "success" or not timer.seconds:
        raise RuntimeError(run.error or f"the run was {run.status}")
    saved = run.outputs["save"]["latents"][0]
    shape = _latent_shape(host.path(saved))
    wanted = [1, 16, latent_frames, size.height, size.width]
    if shape != wanted:
        raise RuntimeError(f"the latents have shape {shape}, expected {wanted}")
    return timer.seconds


def _run_chain(host: Host, size: Size, way: str, seed: int) -> float:
    """Seconds of all nodes that make a clip in one of WAYS. Raises RuntimeError when one fails."""
    timer = NodeTimer(*CHAIN)
    for prompt in chain_prompts(way, pack_nodes(host.object_info, size, size.latent_frames, seed)):
        run = host.run(prompt, timer, timeout=3600)
        if run.status != "success":
            raise RuntimeError(run.error or f"the run was {run.status}")
    return timer.seconds


def own_sampler(info: dict[str, Any], size: Size, latent_frames: int, seed: int) -> Prompt:
    """The graph of ComfyUI's own autoregressive sampler."""
    sigmas = ", ".join(f"{sigma:.8f}" for sigma in (*recipes[PRESET].schedule(0).sigmas, 0.0))
    nodes: Nodes = {
        "noise": ("RandomNoise", {"noise_seed": seed}),
        "guider": ("BasicGuider", {"model": ["model", 0], "conditioning": ["prompt", 0]}),
        "method": ("SamplerARVideo", {"num_frame_per_block": FRAMES_PER_BLOCK}),
        "sigmas": ("ManualSigmas", {"sigmas": sigmas}),
        "empty": (
            "EmptyARVideoLatent",
            {
                "width": size.width * SPACE_SCALE,
                "height": size.height * SPACE_SCALE,
                "length": 4 * (latent_frames - 1) + 1,
            },
        ),
        SAMPLER: (
            "SamplerCustomAdvanced",
            {
                "noise": ["noise", 0],
                "guider": ["guider", 0],
                "sampler": ["method", 0],
                "sigmas": ["sigmas", 0],
                "latent_image": ["empty", 0],
            },
        ),
        "save": ("SaveLatent", {"samples": [SAMPLER, 0]}),
    }
    return _prompt(info, size, nodes)


def pack_nodes(info: dict[str, Any], size: Size, latent_frames: int, seed: int) -> Prompt:
    """The graph of this pack's nodes."""
    nodes: Nodes = {
        "recipe": (
            "CausVid_Recipe",
            {
                "preset": PRESET,
                "timesteps": ", ".join(map(str, TIMESTEPS)),
                "shift": SHIFT,
                "frames_per_block": FRAMES_PER_BLOCK,
            },
        ),
        SAMPLER: (
            "CausVid_TextToVideo",
            {
                "model": ["model", 0],
                "positive": ["prompt", 0],
                "recipe": ["recipe", 0],
                "width": size.width * SPACE_SCALE,
                "height": size.height * SPACE_SCALE,
                "px_frames": 4 * (latent_frames - 1) + 1,
                "seed": seed,
            },
        ),
        "save": ("SaveLatent", {"samples": [SAMPLER, 1]}),
    }
    return _prompt(info, size, nodes)


def _prompt(info: dict[str, Any], size: Size, nodes: Nodes) -> Prompt:
    """The nodes and those that both graphs share, with every other widget at its default."""
    shared: Nodes = {
        "model": ("UNETLoader", {"unet_name": MODEL_FILE}),
        "prompt": (
            "Benchmark_RandomPrompt",
            {"tokens": size.prompt_tokens, "length": size.text_len, "width": size.text_dim},
        ),
    }
    return {
        node: {"class_type": kind, "inputs": _defaults(info[kind]) | inputs}
        for node, (kind, inputs) in (shared | nodes).items()
    }


def _defaults(schema: dict[str, Any]) -> dict[str, Any]:
    """The values that the editor puts into a node's required widgets."""
    values = {}
    for name, (kind, *options) in schema["input"].get("required", {}).items():
        settings = options[0] if options else {}
        choices = kind if isinstance(kind, list) else settings.get("options")
        if "default" in settings:
            values[name] = settings["default"]
        elif choices:
            values[name] = choices[0]
    return values


def _latent_shape(file: Path) -> list[int]:
    """Shape of the latents in a safetensors file."""
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        return json.loads(opened.read(length))["latent_tensor"]["shape"]


if __name__ == "__main__":
    answer({"compare": compare})
