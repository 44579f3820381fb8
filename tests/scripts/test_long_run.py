"""Measuring long streams and switches, on a small model with random weights."""

import json
import math

import pytest
import torch
from measuring.figure import Panel, draw
from measuring.parts import Parts, held_bytes
from measuring.report import BEGIN, END, figure, tables, write_between
from measuring.rolling import POLICIES, Run, as_json, roll
from measuring.steadiness import MEASURES
from measuring.switching import FRESH, Settling, measure_switches, settled, table

import causvid_core as cv
from causvid_core.mini.training.vae import new_vae
from causvid_core.mini.world import held_out_specs
from causvid_core.stream.segment import SWITCHES

CONFIG = cv.WanConfig(
    dim=32, ffn_dim=32, freq_dim=16, text_dim=12, text_len=8, num_heads=2, num_layers=1
)
LATENT_FRAMES, PROMPTS = 32, 2


@pytest.fixture(scope="module")
def parts():
    torch.manual_seed(0)
    prompt = torch.randn(2, 3, CONFIG.text_dim)
    return Parts(
        cv.CausalWan(CONFIG).eval(),
        new_vae(4).eval().requires_grad_(False),
        lambda text: prompt[:1] if "red" in text else prompt[1:],
    )


@pytest.fixture(scope="module")
def run(parts):
    calls = []
    recipe = next(iter(POLICIES.values()))
    specs = held_out_specs(PROMPTS)
    done = roll(parts, recipe, specs, LATENT_FRAMES, progress=lambda *at: calls.append(at))
    assert calls == [(block, 10) for block in range(1, 11)]
    return done


def test_policies_differ_only_in_positions_and_sinks():
    kept = {(recipe.positions, recipe.sink) for recipe in POLICIES.values()}
    assert kept == {(positions, sink) for positions in ("relative", "absolute") for sink in (0, 3)}
    assert {recipe.window for recipe in POLICIES.values()} == {9}


def test_every_block_is_measured(run):
    assert run.series.shape == (10, PROMPTS, len(MEASURES)) and run.series.isfinite().all()
    assert len(run.seconds) == 10 and min(run.seconds) > 0 and len(run.held) == 1
    assert run.held[0] > 10 << 20 and held_bytes() > 10 << 20
    assert run.history == PROMPTS * 16 * 30 * 8 * 8 * 4
    assert len(run.drifts) == len(run.lost) == PROMPTS
    assert set(run.right) == {"colour", "direction", "shape"}
    assert json.loads(json.dumps(as_json(run)))["recipe"] == run.recipe.to_dict()


def synthetic(latent_frames, break_at=None):
    """Videos whose shape is gone from a latent frame on."""
    blocks = latent_frames // 3
    series = torch.full((blocks, PROMPTS, len(MEASURES)), 0.5)
    if break_at is not None:
        series[break_at // 3 :, :, -1] = 0.1
    recipe = next(iter(POLICIES.values()))
    memory = [300 << 20] * blocks
    return Run(recipe, series, [0.02] * blocks, memory, 1 << 20, dict.fromkeys("ab", 1.0))


def test_a_jump_is_found_at_its_latent_frame():
    run = synthetic(1200, break_at=201)
    assert run.jump_at(201) > 0.5 and run.jump_at(132) < 1e-4 and run.jump_at(1024) < 1e-4
    assert synthetic(300).jump_at(1024) is None
    assert run.lost == [201] * PROMPTS and synthetic(300).lost == [None] * PROMPTS


def test_tables_replace_the_text_between_the_marks(run, tmp_path):
    page = tmp_path / "long_run.md"
    page.write_text(f"# Words\n\nbefore\n\n{BEGIN}\nold\n{END}\n\nafter\n", "utf-8")
    text = tables({"one": run})
    write_between(page, text)
    write_between(page, text)
    written = page.read_text("utf-8")
    assert written == f"# Words\n\nbefore\n\n{BEGIN}\n\n{text}\n\n{END}\n\nafter\n"
    for block in text.split("\n\n"):
        assert len({line.count("|") for line in block.splitlines()}) == 1
    write_between(tmp_path / "new.md", text)
    assert text in (tmp_path / "new.md").read_text("utf-8")


def test_the_figure_shows_every_policy(run):
    pytest.importorskip("matplotlib")
    image = figure({"one": run, "two": run._replace(seconds=[1.0] * 10)})
    assert image.width > 1000 and len(image.getcolors(1 << 20)) > 20
    curve = [1.0, math.nan, 3.0]
    for colour in ((37, 99, 235), (5, 150, 105)):
        shown = draw([Panel("p", {"a": curve, "b": [2, 2, 2]})], 9, (3, 12), "x")
        pixels = {pixel for _, pixel in shown.getcolors(1 << 20)}
        assert colour in pixels


@pytest.mark.parametrize(
    ("right", "number"),
    [("111", 1), ("011", 2), ("101", 3), ("110", None), ("000", None), ("1", 1)],
)
def test_a_prompt_has_settled_once_every_later_block_follows_it(right, number):
    assert settled([value == "1" for value in right]) == number


def test_switches_are_measured_in_every_mode(parts):
    recipe = next(iter(POLICIES.values()))
    found = measure_switches(parts, recipe, videos=2, blocks_after=3)
    assert list(found) == [*SWITCHES, FRESH]
    for columns in found.values():
        assert [column.trait for column in columns] == ["colour", "direction", "shape", "all"]
        assert all(len(column.blocks) == 2 for column in columns)
    lines = table(found).splitlines()
    assert len(lines) == 2 + len(found) and len({line.count("|") for line in lines}) == 1


def test_a_cell_has_the_median_the_worst_and_the_number_of_videos():
    columns = [Settling("a", [1, 3, 2]), Settling("b", [4, None]), Settling("c", [None])]
    shown = table({"cut": columns})
    assert shown.splitlines()[-1] == "| cut | 2 (worst 3) | 4 (worst 4, 1 of 2) | never (0 of 1) |"
