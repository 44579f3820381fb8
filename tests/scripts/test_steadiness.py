"""Measures of drift: none for the world itself, the known amount for a video that drifts."""

from dataclasses import replace

import cv2
import pytest
import torch
from measuring.steadiness import (
    COLOURS,
    MEASURES,
    deviation,
    drift,
    jumps,
    lost_at,
    measure,
    tenths,
)

from causvid_core.mini.world import held_out_specs, render

BLOCK, BLOCKS = 12, 40
SPEC = replace(held_out_specs(1)[0], direction="left", background="striped", shade="teal")


def blocks_of(px):
    """[blocks, 9] of one video [1, 3, T, H, W]."""
    return torch.cat([measure(piece) for piece in px.split(BLOCK, dim=2)])


def fading(px, last):
    """Brightness falls evenly from 1 to `last`."""
    return px * torch.linspace(1, last, px.shape[2]).view(1, 1, -1, 1, 1)


@pytest.fixture(scope="module")
def video():
    return render([SPEC], BLOCK * BLOCKS)


@pytest.mark.parametrize("direction", ["left", "down"])
def test_a_moving_shape_is_no_drift(direction):
    spec = replace(SPEC, direction=direction, background="gradient")
    found = drift(blocks_of(render([spec], BLOCK * BLOCKS)))
    assert max(found) < 0.02


def test_measures_do_not_depend_on_the_position_on_the_torus(video):
    piece = video[:, :, :BLOCK]
    moved = piece.roll((20, 45), dims=(3, 4))
    torch.testing.assert_close(measure(moved), measure(piece), atol=1e-4, rtol=1e-4)


def test_measures_equal_those_of_the_drawn_shape():
    spec = replace(SPEC, shape="circle", colour="white", background="plain", size="medium")
    found = dict(zip(MEASURES, measure(render([spec], BLOCK))[0].tolist(), strict=True))
    assert found["shape_red"] == pytest.approx(0.96 * 0.93, abs=0.03)  # lit from above
    assert found["ground_green"] == pytest.approx(0.30, abs=0.02)
    assert found["size"] == pytest.approx(0.95 * 12, abs=0.4)
    frame = render([spec], 1)[0, :, 0].permute(1, 2, 0).contiguous().numpy()
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    assert found["contrast"] == pytest.approx(grey.std(), rel=0.01)
    assert found["sharpness"] == pytest.approx(cv2.Laplacian(grey, cv2.CV_32F).var(), rel=0.05)


def test_fading_shows_in_colour_and_contrast(video):
    found = drift(blocks_of(fading(video, 0.9)))
    brightest = float(tenths(blocks_of(video))[0][: len(COLOURS)].max())
    assert found.colour == pytest.approx(0.09 * brightest, abs=0.01)
    assert found.contrast == pytest.approx(0.09, abs=0.02)


def test_blur_shows_in_sharpness_alone(video):
    soft = video.clone()
    for frame in soft[0, :, -BLOCK * 4 :].unbind(1):
        blurred = cv2.GaussianBlur(frame.permute(1, 2, 0).numpy(), (0, 0), 0.8)
        frame.copy_(torch.from_numpy(blurred).permute(2, 0, 1))
    found = drift(blocks_of(soft))
    assert found.sharpness > 0.5 and found.colour < 0.04 and found.contrast < 0.1


def test_a_collapse_is_found_where_it_is(video):
    gone = video.clone()
    at = 25
    gone[:, :, at * BLOCK :] = gone[:, :, at * BLOCK :].clamp(max=0.3)
    series = blocks_of(gone)
    found = jumps(series)
    assert lost_at(series) == at and int(found.nan_to_num(0).argmax()) == at
    assert found[at] > 10 * found[~found.isnan()].median()
    assert lost_at(blocks_of(video)) is None


def test_distance_from_the_first_tenth_ends_at_the_drift(video):
    series = blocks_of(fading(video, 0.8))
    found = deviation(series)
    assert found.shape == (BLOCKS, 4)
    assert found[: BLOCKS // 10].max() < 0.05
    last = torch.tensor(drift(series))
    torch.testing.assert_close(found[-3], last, atol=0.03, rtol=0)
