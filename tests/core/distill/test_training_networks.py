"""Networks split by FSDP against plain ones: values and gradients, through a rollout too."""

import pytest
import torch

import causvid_core as cv
from causvid_core.distill.network import Network
from causvid_core.distill.training.data import Samples
from causvid_core.distill.training.networks import whole
from causvid_core.distill.training.ranks import joined
from causvid_core.distill.training.stages import DistributionMatching
from causvid_core.model.checkpoints import convert

from .small import make_model
from .training_runs import SHAPE, experiment, make_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = make_data(tmp_path_factory.mktemp("data"))
    model = make_model(**(SHAPE | {"num_layers": 2}))
    convert(model.state_dict(), folder / "weights.safetensors", config=model.config)
    return folder


@pytest.mark.parametrize(
    ("inputs", "gradient_checkpointing"), [("data", False), ("self_rollout", True)]
)
def test_a_split_network_has_the_gradients_of_a_plain_one(
    data, tmp_path, inputs, gradient_checkpointing
):
    settings = experiment(
        data,
        tmp_path,
        "dmd",
        dmd__inputs=inputs,
        run__gradient_checkpointing=gradient_checkpointing,
        model__shape=SHAPE | {"num_layers": 2},
        model__weights=str(data / "weights.safetensors"),
    )
    with joined("cpu") as ranks:
        stage = DistributionMatching(settings, Samples(settings), ranks)
        tree = stage.network.bound.tree
        plain = cv.CausalWan(tree.config)
        plain.load_state_dict({name: whole(p) for name, p in tree.named_parameters()})
        results = []
        for network in (stage.network, Network.of(plain, settings.recipe)):
            stage.network = network
            make, _ = stage._maker(0, "model")
            sample = make(next(stage.batches(0, "model")))
            sample.x0.square().mean().backward()
            grads = [whole(p.grad) for p in network.bound.tree.parameters()]
            results.append((sample.x0.detach(), grads))
    (x0, grads), (expected, expected_grads) = results
    torch.testing.assert_close(x0, expected, atol=1e-5, rtol=0)
    assert sum(float(grad.abs().sum()) for grad in expected_grads) > 1
    for grad, other in zip(grads, expected_grads, strict=True):
        torch.testing.assert_close(grad, other, atol=1e-5, rtol=1e-4)
