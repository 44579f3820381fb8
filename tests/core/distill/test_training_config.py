"""Configs: what is refused and in which words, and the pack's own."""

import pytest
import torch

import causvid_core as cv
from causvid_core.cli import main
from causvid_core.distill.training.config import read_config, require_paths
from causvid_core.distill.training.settings import Batch
from causvid_core.distill.training.tables import RENAMED, ConfigError, saved_table

from .training_runs import ROOT

PACK = sorted((ROOT / "configs").glob("*.toml"))
TEXT = """
stage = "flow_matching"
steps = 10
[run]
folder = "runs/a"
[model]
size = "mini"
[data]
kind = "world"
folder = "clips"
[batch]
size = 8
[optimizer]
lr = 1e-4
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "own.toml"
    path.write_text(TEXT)
    return path


def test_a_value_given_with_set_replaces_the_files(file):
    config = read_config(
        file, ["run.seed=3", "run.folder=/data/run 1", "ema.decay=0.9", "optimizer.betas=[0, 0.9]"]
    )
    assert config.run.seed == 3 and config.run.folder == "/data/run 1"
    assert config.ema.decay == 0.9 and config.optimizer.betas == (0.0, 0.9)
    assert read_config(file).ema is None and read_config(file).optimizer.betas == (0.9, 0.999)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("optimizer.learning_rate=1", "optimizer.learning_rate is not a setting"),
        ("optimizr.lr=1", "optimizr is not a setting; did you mean 'optimizer'"),
        ("run.sed=1", "run.sed is not a setting; did you mean 'seed'"),
        ("optimizer.lr=fast", "optimizer.lr is 'fast'; a number is expected"),
        ("optimizer.lr=0", "optimizer.lr is 0.0; it has to be above 0"),
        ("optimizer.lr=nan", "optimizer.lr is nan; it has to be above 0"),
        ("steps=2.5", "steps is 2.5; a whole number is expected"),
        ("steps=true", "steps is True; a whole number is expected"),
        (
            "data.unconditional_probability=2",
            "data.unconditional_probability is 2.0; it has to be at most 1",
        ),
        ("optimizer.betas=[0.9]", "optimizer: betas are 1 numbers; AdamW has 2"),
        ("optimizer.betas=0.9", "optimizer.betas is 0.9; a list, each a number, is expected"),
        ("model.recipe=causvidd", "'causvidd'; did you mean 'causvid'?"),
        ("model.size=2b", "model.size is '2b'"),
        ("run=3", "run is 3; it has to be a table, [run]"),
        ("stage=dmd", "stage dmd needs a table [dmd]"),
        ("stage=ode_regression", "this stage learns from ode-pairs"),
        ("data.latent_height=7", "7"),
        ("model={size='mini', causal=false, context='clean'}", 'model.context = "clean" is for'),
        ("data.given_frames=21", "given_frames 21 leaves none of 21 latent frames"),
        ("flow_matching.context_noise=0.1", "context_noise needs model.context"),
        ("data.openings={folder='a', per_batch=8}", "leaves no clips in a batch of 8"),
        ("model.shape={dim=8, ffn_dim=8, num_heads=1, num_layers=1}", "either a size"),
    ],
)
def test_errors_name_the_file_the_key_and_the_remedy(file, override, message):
    with pytest.raises(ConfigError) as error:
        read_config(file, [override])
    assert message in str(error.value) and str(file) in str(error.value)


@pytest.mark.parametrize(("old", "new"), RENAMED.items())
def test_old_names_of_settings_are_refused_with_the_new_one(file, old, new):
    table = old.partition(".")[0]
    tables = {"critic": "critic.optimizer.lr=1", "teacher": "teacher.size=mini"}
    with pytest.raises(ConfigError, match=f"{old} is now called {new}"):
        read_config(file, [tables.get(table, "steps=1"), f"{old}=4"])


def test_a_guidance_is_refused_with_its_guidance_scale(file):
    with pytest.raises(ConfigError, match="write 4.5 for 3.5"):
        read_config(file, ["teacher.size=mini", "teacher.guidance=3.5"])


def test_saved_configs_with_old_names_are_read():
    saved = {"run": {"recompute": False, "seed": 1}, "ema": None, "steps": 3}
    saved |= {"teacher": {"guidance": 3.5}, "critic": {"lead_steps": 2, "optimizer": {"lr": 1.0}}}
    assert saved_table(saved) == {
        "run": {"gradient_checkpointing": False, "seed": 1},
        "steps": 3,
        "teacher": {"guidance_scale": 4.5},
        "critic": {"warmup_steps": 2, "optimizer": {"lr": 1.0}},
    }
    assert saved_table(saved_table(saved)) == saved_table(saved)


def test_files_that_are_no_config_are_refused(tmp_path, file):
    with pytest.raises(ConfigError, match="there is no config"):
        read_config(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match="--set run has no value"):
        read_config(file, ["run"])
    file.write_text("stage = ")
    with pytest.raises(ConfigError, match="is not valid TOML"):
        read_config(file)
    file.write_text('stage = "dmd"')
    with pytest.raises(ConfigError, match="steps is missing; a whole number has to be given"):
        read_config(file)


@pytest.mark.parametrize("path", PACK, ids=lambda path: path.stem)
def test_the_packs_own_configs_run_dry(path, capsys):
    assert main(["train", str(path), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    with torch.device("meta"):
        model = cv.CausalWan(read_config(path).model.config)
    assert f"{sum(p.numel() for p in model.parameters()):,}" in shown and "steps a day" in shown


def test_placeholders_are_named_before_anything_starts(capsys):
    config = read_config(ROOT / "configs" / "self_forcing_1.3b.toml")
    with pytest.raises(ConfigError, match="--set model.weights=PATH"):
        require_paths(config)
    assert main(["train", str(ROOT / "configs" / "mini_ode.toml")]) == 2
    assert "model.weights is the placeholder" in capsys.readouterr().err


def test_published_values_are_those_of_the_papers():
    """reference: CausVid's and Self-Forcing's published configs."""
    ode, dmd, forcing = (
        read_config(ROOT / "configs" / f"{name}_1.3b.toml")
        for name in ("causvid_ode", "causvid_dmd", "self_forcing")
    )
    assert (ode.optimizer.lr, ode.batch.per_rank, ode.steps) == (2e-6, 2, 3000)
    assert ode.recipe.timesteps == (1000, 757, 522) and ode.optimizer.clip_norm == 10
    assert dmd.teacher.guidance_scale == 4.5 and dmd.critic.critic_updates_per_generator_update == 5
    assert (dmd.dmd.shift, dmd.dmd.min_timestep, dmd.dmd.max_timestep) == (8, 20, 980)
    assert not dmd.teacher.causal and dmd.teacher.size == dmd.critic.size == "1.3b"
    assert forcing.teacher.size == "14b" and forcing.teacher.guidance_scale == 4
    assert forcing.critic.optimizer.lr == 4e-7 and forcing.optimizer.betas == (0, 0.999)
    assert (forcing.ema.decay, forcing.ema.from_step, forcing.steps) == (0.99, 200, 600)
    assert forcing.batch.size == 64 and forcing.recipe.warp and forcing.recipe.shift == 5


def test_a_batch_is_shared_by_as_many_processes_as_there_are():
    batch = Batch(size=12, per_rank=6)
    assert [(batch.at_once(n), batch.passes(n)) for n in (1, 2, 4, 12)] == [
        (6, 2),
        (6, 1),
        (3, 1),
        (1, 1),
    ]
    for ranks in (5, 24):
        with pytest.raises(ConfigError, match=f"12 cannot be shared by {ranks} processes"):
            batch.at_once(ranks)
    with pytest.raises(ConfigError, match="1 processes that take up to 5 samples"):
        Batch(size=12, per_rank=5).passes(1)
