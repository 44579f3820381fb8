"""Which samples a step learns from, and their randomness: of the seed, the step and the place."""

import torch

from causvid_core.distill.training.draws import Draws, samples_of


def test_every_epoch_has_every_sample_once_in_an_order_of_its_own():
    length, batch = 10, 4
    order = [number for step in range(5) for number in samples_of(step, batch, length, seed=1)]
    first, second = order[:length], order[length:]
    assert sorted(first) == sorted(second) == list(range(length))
    assert first != second and first != list(range(length))
    assert samples_of(0, batch, length, seed=2) != order[:batch]


def test_a_batch_may_be_larger_than_the_data():
    assert sorted(samples_of(0, 6, 2, seed=0)) == [0, 0, 0, 1, 1, 1]


def test_what_a_sample_draws_does_not_depend_on_who_draws_with_it():
    together = Draws(3, 7, "model", range(4))
    apart = [Draws(3, 7, "model", [place]) for place in range(4)]
    for _ in range(2):
        whole = together.normal(2, 3)
        assert torch.equal(whole, torch.cat([draws.normal(2, 3) for draws in apart]))
    fresh = Draws(3, 7, "model", [0]).normal(2, 3)
    for others in ((3, 7, "critic"), (3, 8, "model"), (4, 7, "model")):
        assert not torch.equal(fresh, Draws(*others, [0]).normal(2, 3))
    noise = Draws(3, 7, "model", range(4)).noise(0, 0, (4, 2, 3))
    assert torch.equal(noise[:1], fresh)
