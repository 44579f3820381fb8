"""Mixing prompt embeddings, against the plain formulas."""

import math

import torch

from causvid_core.prompts.blending import blend


def test_straight_mixing_is_the_weighted_mean_of_padded_prompts() -> None:
    first, second, third = torch.randn(1, 2, 4), torch.randn(3, 5, 4), torch.randn(1, 1, 4)
    mixed = blend([first, second, third], [1, 2, 5])
    for video in range(3):
        for row in range(5):
            expected = 2 * second[video, row]
            expected = expected + (first[0, row] if row < 2 else 0)
            expected = expected + (5 * third[0, row] if row < 1 else 0)
            torch.testing.assert_close(mixed[video, row], expected / 8)


def test_an_arc_turns_evenly_and_keeps_lengths() -> None:
    angle = 1.2
    first = torch.tensor([[[3.0, 0.0]]])
    second = 5 * torch.tensor([[[math.cos(angle), math.sin(angle)]]])
    for share in (0.1, 0.5, 0.75):
        mixed = blend([first, second], [1 - share, share], "spherical")
        length = 3 + 2 * share
        expected = length * torch.tensor([math.cos(share * angle), math.sin(share * angle)])
        torch.testing.assert_close(mixed[0, 0], expected)


def test_arcs_without_a_direction_are_lines() -> None:
    vector = torch.randn(1, 3, 8)
    longer = torch.cat([vector, torch.randn(1, 2, 8)], dim=1)
    mixed = blend([vector, longer], [0.5, 0.5], "spherical")
    torch.testing.assert_close(mixed[:, :3], vector)
    torch.testing.assert_close(mixed[:, 3:], longer[:, 3:] / 2)
    opposite = blend([vector, -vector], [0.25, 0.75], "spherical")
    torch.testing.assert_close(opposite, -vector / 2)
    assert torch.equal(blend([vector], [0.3], "spherical"), vector)
