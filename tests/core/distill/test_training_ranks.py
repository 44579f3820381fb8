"""Two processes over gloo, as torchrun starts them, against one."""

import json
import shutil
import socket

import pytest
import torch

from causvid_core.distill.training.saved_runs import saved_runs

from .training_runs import SHAPE, config, experiment, losses, make_data, run_here, start, weights

ROLLOUT = {"dmd__inputs": "self_rollout", "data__kind": "texts", "teacher__causal": True}
ROLLOUT |= {"batch__per_rank": 1, "model__shape": SHAPE | {"num_layers": 2}}
RUNS = {
    "ode": ("ode_regression", {"optimizer__kind": "muon", "optimizer__matrix_lr": 1e-3}),
    "rollout": ("dmd", ROLLOUT),
    "bf16": ("flow_matching", {"run__precision": "bf16", "run__gradient_checkpointing": False}),
}


pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folders of each run: by one process, by two, and begun by one and ended by two."""
    folder = tmp_path_factory.mktemp("runs")
    data, paths = make_data(folder / "data"), []
    for name, (stage, changes) in RUNS.items():
        for kind in ("two", "both"):
            changes = changes | {"steps": 3, "run__checkpoint_every": 2}
            if stage != "dmd" and kind == "both":
                continue
            run = folder / f"{name}_{kind}"
            table = config(data, run, stage, **changes)
            paths.append(folder / f"{run.name}.json")
            paths[-1].write_text(json.dumps({"config": table, "resume": kind == "both"}))
        one = folder / f"{name}_one"
        run_here(experiment(data, one, stage, **changes))
        if stage == "dmd":
            shutil.copytree(one, folder / f"{name}_both")
            shutil.rmtree(saved_runs(folder / f"{name}_both")[3])
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    processes = [start(*paths, rank=rank, count=2, port=port) for rank in range(2)]
    for process in processes:
        output, _ = process.communicate(timeout=900)
        assert process.returncode == 0, output
    return folder


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_learn_what_one_does(runs, tmp_path, name):
    tolerance = 1e-3 if name == "bf16" else 1e-5
    for figure in ("loss", "critic_loss") if RUNS[name][0] == "dmd" else ("loss",):
        one, two = (losses(runs / f"{name}_{kind}", figure) for kind in ("one", "two"))
        assert one == pytest.approx(two, rel=tolerance, abs=1e-7) and len(set(one)) > 1
    one, two = (
        weights(runs / f"{name}_{kind}", tmp_path / f"{kind}.safetensors")
        for kind in ("one", "two")
    )
    far = max(float((one[key] - two[key]).abs().max()) for key in one)
    assert far < (5e-3 if name in ("bf16", "ode") else 5e-4)  # Muon works in bfloat16


def test_two_processes_go_on_where_one_stopped(runs, tmp_path):
    one, both = (losses(runs / f"rollout_{kind}", "critic_loss") for kind in ("one", "both"))
    assert one == pytest.approx(both, rel=1e-5) and len(both) == 3
    a, b = (
        weights(runs / f"rollout_{kind}", tmp_path / f"{kind}.safetensors", raw=True)
        for kind in ("one", "both")
    )
    for key in a:
        torch.testing.assert_close(a[key], b[key], atol=5e-4, rtol=0)
