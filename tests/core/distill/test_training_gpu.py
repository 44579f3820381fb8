"""On a GPU: a run in bfloat16 stays near one in float32 on the CPU, and goes on."""

import pytest
import torch

from causvid_core.distill.training.ranks import joined
from causvid_core.distill.training.run import train

from .training_runs import experiment, losses, make_data, run_here, weights

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]


def test_a_run_on_a_gpu_is_near_one_on_the_cpu_and_goes_on(tmp_path):
    data = make_data(tmp_path / "data")
    run_here(experiment(data, tmp_path / "cpu", "dmd"))
    for name, steps in (("whole", 4), ("cut", 2), ("cut", 4)):
        settings = experiment(
            data, tmp_path / name, "dmd", run__precision="bf16", steps=steps, samples__every=4
        )
        with joined("cuda") as ranks:
            assert train(settings, ranks, resume=steps == 4 and name == "cut") == steps
    near = losses(tmp_path / "cpu", "critic_loss")
    assert losses(tmp_path / "whole", "critic_loss") == pytest.approx(near, rel=0.02)
    whole, cut = (weights(tmp_path / n, tmp_path / f"{n}.safetensors") for n in ("whole", "cut"))
    for name in whole:  # some of a GPU's kernels add in any order
        torch.testing.assert_close(whole[name], cut[name], atol=5e-3, rtol=0)
