"""Streams whose prompt switches, for the engine's tests, and what they come to the slow way."""

import torch

from .recompute import SlowStream

SHORT = {"timesteps": (1000, 600), "shift": 5.0}
WINDOWS = {
    "everything": {},
    "window": {"window": 6},
    "sink": {"window": 7, "sink": 2, "context_timestep": 30},
    "wide sink": {"window": 9, "sink": 4, "first_block_frames": 1},
    "framewise": {"frames_per_block": 1, "window": 4, "sink": 1},
}
SCRIPTS = {
    "carry": {3: "carry"},
    "recache": {4: "recache"},
    "flush": {4: "flush"},
    "cut": {4: "cut"},
    "at once": {1: "recache", 3: "flush"},
    "in a row": {3: "recache", 4: "flush", 5: "recache"},
    "after a cut": {1: "cut", 4: "flush", 6: "recache"},
}


class Script:
    """A plan that reads another prompt after every switch."""

    def __init__(self, switches, seed=5):
        self.switches = switches
        random = torch.Generator().manual_seed(seed)
        shape = (1, 5, 12)
        self.prompts = [torch.randn(shape, generator=random) for _ in range(len(switches) + 1)]

    def at(self, block_index):
        return self.prompts[sum(block_index >= switched for switched in self.switches)]

    def switch(self, block_index):
        return self.switches.get(block_index, "carry")


def slow_latents(model, recipe, script, blocks, noise, batch=1):
    slow = SlowStream(noise, batch)
    for index in range(blocks):
        slow.block(model, recipe, script.at(index), script.switch(index))
    return torch.cat(slow.made, dim=2)


def assert_close(found, expected):
    assert found.std() > 0.1
    assert (found - expected).abs().max() < 1e-4 * expected.std()
