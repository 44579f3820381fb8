"""Small runs of the trainer, in this process or in several: `python -m ...training_runs FILE...`.

Every FILE is JSON: the `config`; `resume`; and, for a process that SIGKILL must end, `kill_after`,
a name of KILLED and how often it is called before. The process group is that of the environment,
as torchrun sets it.
"""

import csv
import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import torch

from causvid_core.distill.training import saved_runs
from causvid_core.distill.training.export import export
from causvid_core.distill.training.ranks import joined
from causvid_core.distill.training.run import train
from causvid_core.distill.training.settings import Experiment
from causvid_core.distill.training.stages import STAGES
from causvid_core.distill.training.tables import read_table
from causvid_core.hashing import content_hash
from causvid_core.mini.embedded import MINI
from causvid_core.storage.shards import ShardWriter

ROOT = Path(__file__).resolve().parents[3]
SHAPE = {"dim": 32, "ffn_dim": 48, "num_heads": 2, "num_layers": 1, "freq_dim": 16}
SHAPE |= {"text_dim": 12, "text_len": 64}
FRAMES, SIZE = 6, 4
SAMPLES, SHARD = 8, 2
KILLED = {"training": (STAGES["dmd"], "step"), "saving": (saved_runs, "save_tensors")}


def make_data(folder):
    """Shards of clips, ODE pairs and texts."""
    generator = torch.Generator().manual_seed(0)
    names = [f"prompt {number}" for number in range(SAMPLES)]
    with ExitStack() as stack:
        writers = [
            stack.enter_context(ShardWriter(folder / kind, kind, shard_size=SHARD))
            for kind in ("clips", "ode-pairs", "texts")
        ]
        for number, name in enumerate(names):
            states = torch.randn(4, 16, FRAMES, SIZE, SIZE, generator=generator)
            text = torch.randn(3 + number % 3, 12, generator=generator)
            for writer, tensors in zip(
                writers,
                ({"latents": states[0]}, {"states": states}, {"context": text}),
                strict=True,
            ):
                writer.add(content_hash(name), name, tensors)
        negative = {"context": torch.randn(2, 12, generator=generator)}
        writers[-1].add(content_hash(""), "", negative)
    return folder


def config(data, run, stage="flow_matching", **changes):
    """A config as a table. changes: values by their path, with __ between its parts."""
    kind = changes.get("data__kind", "ode-pairs" if stage == "ode_regression" else "clips")
    table = {
        "stage": stage,
        "steps": 4,
        "run": {"folder": str(run), "precision": "fp32", "checkpoint_every": 2, "log_every": 1},
        "model": {"shape": SHAPE, "recipe": "causvid"},
        "data": {"kind": kind, "folder": str(data / kind), "texts": str(data / "texts")},
        "batch": {"size": 4, "per_rank": 2},
        "optimizer": {"lr": 1e-2, "warmup_steps": 2},
        "ema": {"decay": 0.5},
    }
    table["data"] |= {"latent_frames": FRAMES, "latent_height": SIZE, "latent_width": SIZE}
    if stage == "dmd":
        table |= {
            "dmd": {"inputs": "data"},
            "teacher": {"shape": SHAPE, "guidance_scale": 3.0},
            "critic": {
                "shape": SHAPE,
                "critic_updates_per_generator_update": 2,
                "optimizer": {"lr": 1e-2},
            },
        }
    for path, value in changes.items():
        *tables, key = path.split("__")
        inner = table
        for name in tables:
            inner = inner.setdefault(name, {})
        inner[key] = value
    return table


def experiment(data, run, stage="flow_matching", **changes):
    return read_table(Experiment, config(data, run, stage, **changes), "test")


def run_here(settings, resume=False):
    """Train in this process; returns the steps done."""
    with joined("cpu") as ranks:
        return train(settings, ranks, resume, MINI)


def rows(run):
    with (Path(run) / "metrics.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def losses(run, name="loss"):
    return [float(row[name]) for row in rows(run) if row[name]]


def weights(run, target, **options):
    """The weights that a run exports, in float32."""
    from safetensors.torch import load_file

    return load_file(export(run, target, dtype=torch.float32, **options))


def start(*arguments, module="tests.core.distill.training_runs", rank=0, count=1, port=0):
    """A process of its own; see the module's docstring."""
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    if count > 1:
        environment |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(count)}
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return subprocess.Popen(
        [sys.executable, "-m", module, *map(str, arguments)],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def kill_after(name, calls):
    """Let SIGKILL end this process as a function of KILLED returns for the `calls`-th time."""
    owner, attribute = KILLED[name]
    function, made = getattr(owner, attribute), []

    def counted(*arguments, **options):
        result = function(*arguments, **options)
        made.append(1)
        if len(made) == calls:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, attribute, counted)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with joined("cpu") as ranks:
        for path in sys.argv[1:]:
            given = json.loads(Path(path).read_text())
            if "kill_after" in given:
                kill_after(*given["kill_after"])
            train(read_table(Experiment, given["config"], path), ranks, given["resume"])
