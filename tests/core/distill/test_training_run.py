"""Runs in one process: accumulation, stops of every kind, and going on to the bit."""

import json
import signal

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file

import causvid_core as cv
from causvid_core.distill.network import Network
from causvid_core.distill.training import run as loop
from causvid_core.distill.training.export import export
from causvid_core.distill.training.run import TrainingStopped
from causvid_core.distill.training.saved_runs import CONFIG, SavedRunDamaged, saved_runs
from causvid_core.distill.training.stages import FlowMatching
from causvid_core.distill.training.tables import ConfigError
from causvid_core.model.checkpoints import summarise
from causvid_core.storage.reserve import reserve
from causvid_core.storage.shards import ShardError

from .training_runs import config, experiment, losses, make_data, rows, run_here, start, weights


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return make_data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def whole(data, tmp_path_factory):
    """A run of DMD that nothing disturbed: its folder and its weights."""
    folder = tmp_path_factory.mktemp("whole")
    assert run_here(experiment(data, folder / "run", "dmd")) == 4
    return folder / "run", weights(folder / "run", folder / "out.safetensors")


def same(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
@pytest.mark.parametrize("moment", ["training", "saving"])
def test_a_run_killed_in_the_middle_goes_on_to_the_same_weights(data, whole, tmp_path, moment):
    """By SIGKILL, in a process of its own, when its third step is done but not yet saved."""
    table = config(data, tmp_path / "run", "dmd", run__checkpoint_every=1)
    given = {"config": table, "resume": False, "kill_after": [moment, 3]}
    (tmp_path / "run.json").write_text(json.dumps(given))
    process = start(tmp_path / "run.json")
    output, _ = process.communicate()
    assert process.returncode == -signal.SIGKILL, output
    assert max(saved_runs(tmp_path / "run")) == 2
    settings = experiment(data, tmp_path / "run", "dmd")
    assert run_here(settings, resume=True) == 4
    assert same(weights(tmp_path / "run", tmp_path / "out.safetensors"), whole[1])
    raw = [
        weights(r, tmp_path / f"{n}.safetensors", raw=True)
        for n, r in enumerate((whole[0], tmp_path / "run"))
    ]
    assert same(*raw) and not same(raw[0], whole[1])
    for name in ("loss", "critic_loss"):
        assert losses(tmp_path / "run", name) == losses(whole[0], name)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_step_saves_and_says_how_to_go_on(
    data, whole, tmp_path, monkeypatch, caplog, number
):
    step = loop.STAGES["dmd"].step

    def interrupted(self, at):
        if at == 1 and not saved_runs(tmp_path / "run"):
            signal.raise_signal(number)
        return step(self, at)

    monkeypatch.setattr(loop.STAGES["dmd"], "step", interrupted)
    settings = experiment(data, tmp_path / "run", "dmd")
    before = signal.getsignal(number)
    with caplog.at_level("INFO", logger="causvid"):
        assert run_here(settings) == 2
    assert signal.getsignal(number) is before
    assert list(saved_runs(tmp_path / "run")) == [2] and "--resume" in caplog.text
    if number == signal.SIGTERM:
        return
    assert run_here(settings, resume=True) == 4
    assert same(weights(tmp_path / "run", tmp_path / "out.safetensors"), whole[1])


def test_accumulated_passes_learn_what_a_large_batch_does(data, tmp_path):
    """For a loss that not every latent frame has a part in."""
    results = []
    for per_rank in (4, 1):
        run = tmp_path / f"of_{per_rank}"
        run_here(experiment(data, run, "ode_regression", batch__per_rank=per_rank, steps=3))
        results.append((losses(run), weights(run, tmp_path / "out.safetensors", raw=True)))
    (one, a), (many, b) = results
    assert one == pytest.approx(many, rel=1e-5) and one[0] != one[1]
    for name in a:
        torch.testing.assert_close(a[name], b[name], atol=2e-4, rtol=0)


def test_the_critic_can_learn_alone_at_first(data, tmp_path):
    run = tmp_path / "run"
    run_here(experiment(data, run, "dmd", steps=7, critic__warmup_steps=3))
    learned = {int(row["step"]): row["loss"] for row in rows(run)}
    assert [step for step, loss in learned.items() if loss] == [4, 6]
    assert len(learned) == 7 and all(row["critic_loss"] for row in rows(run))
    with pytest.raises(ConfigError, match="warmup_steps 4 leaves the model none of 4 steps"):
        experiment(data, run, "dmd", steps=4, critic__warmup_steps=4)


@pytest.mark.parametrize("stage", ["flow_matching", "ode_regression"])
def test_blocks_can_learn_after_clean_ones(data, tmp_path, monkeypatch, stage):
    seen, flow = [], Network.flow

    def watched(self, noisy, timesteps, conditioning, clean=None):
        seen.append((timesteps, clean))
        return flow(self, noisy, timesteps, conditioning, clean)

    monkeypatch.setattr(Network, "flow", watched)
    run_here(experiment(data, tmp_path / "run", stage, model__context="clean"))
    assert len(seen) == 8
    for timesteps, clean in seen:
        assert timesteps.min() > 0 and clean.shape == (2, 16, 3, 4, 4)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_its_batch(data, tmp_path, monkeypatch):
    loss = FlowMatching._loss
    monkeypatch.setattr(
        FlowMatching,
        "_loss",
        lambda self, batch: loss(self, batch) * (float("nan") if 3 in batch.places else 1),
    )
    with pytest.raises(TrainingStopped, match="step 0 was not taken: the loss is nan"):
        run_here(experiment(data, tmp_path / "run", samples__every=0))
    (kept,) = (tmp_path / "run").glob("not_finite_step_0000000/*.safetensors")
    tensors = load_file(kept)
    assert tensors["0.latents"].shape == (2, 16, 6, 4, 4) and "1.context" in tensors
    assert not saved_runs(tmp_path / "run")


def test_a_damaged_shard_is_named_or_left_out(data, tmp_path, caplog):
    broken = make_data(tmp_path / "broken")
    shard = sorted((broken / "clips").iterdir())[1]
    content = bytearray(shard.read_bytes())
    content[-100] ^= 0xFF
    shard.write_bytes(content)
    with pytest.raises(ShardError, match=shard.name):
        run_here(experiment(broken, tmp_path / "refused"))
    settings = experiment(broken, tmp_path / "left_out", data__damaged="skip")
    with caplog.at_level("WARNING", logger="causvid"):
        assert run_here(settings) == 4
    assert shard.name in caplog.text


def test_a_folder_with_another_run_is_not_written_into(data, whole):
    settings = experiment(data, whole[0], "dmd")
    with pytest.raises(ConfigError, match="holds a run of 4 steps; continue it with --resume"):
        run_here(settings)
    settings = experiment(data, whole[0], "dmd", optimizer__lr=1e-3)
    with pytest.raises(ConfigError, match=r"optimizer.lr = 0.01, and now it is 0.001"):
        run_here(settings, resume=True)


def test_a_folder_that_another_process_writes_into_is_refused(data, tmp_path):
    (tmp_path / "run").mkdir()
    with reserve(tmp_path / "run" / CONFIG):
        with pytest.raises(FileExistsError, match=f"{CONFIG} is being written by process"):
            run_here(experiment(data, tmp_path / "run", "dmd"))
    assert not list((tmp_path / "run").iterdir())


def test_a_damaged_checkpoint_is_named(data, tmp_path):
    run_here(experiment(data, tmp_path / "run", steps=1))
    (file,) = saved_runs(tmp_path / "run")[1].iterdir()
    file.write_bytes(file.read_bytes()[:-1000])
    with pytest.raises(SavedRunDamaged, match="step_0000001 cannot be read"):
        run_here(experiment(data, tmp_path / "run"), resume=True)


def test_previews_are_videos_of_the_average(data, tmp_path):
    settings = experiment(data, tmp_path / "run", steps=2, samples__every=2, samples__count=1)
    run_here(settings)
    bidirectional = experiment(
        data,
        tmp_path / "teacher",
        steps=1,
        samples__every=1,
        model__causal=False,
        samples__count=1,
        samples__guided_steps=4,
        samples__guidance_scale=3.0,
    )
    run_here(bidirectional)
    for run in ("run", "teacher"):
        assert {p.suffix for p in (tmp_path / run / "samples").iterdir()} == {".mp4", ".png"}


def test_an_export_is_a_checkpoint_like_any_other(whole, tmp_path):
    path = export(whole[0], tmp_path / "out.safetensors")
    model = cv.load_model(path)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, whole[1][name].bfloat16().float())
    assert summarise(path)["stored as"].startswith("bfloat16")
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["config"])["transformer"]["causal_ar"] is True
    older = weights(whole[0], tmp_path / "older.safetensors", step=2)
    assert not same(older, whole[1])


def test_a_run_begun_under_old_names_of_settings_is_resumed_and_exported(data, whole, tmp_path):
    run_here(experiment(data, tmp_path / "run", "dmd", steps=2))
    path = tmp_path / "run" / "config.json"
    table = json.loads(path.read_text("utf-8"))
    table["run"]["recompute"] = table["run"].pop("gradient_checkpointing")
    table["teacher"]["guidance"] = table["teacher"].pop("guidance_scale") - 1
    for name in ("given_frames", "openings"):  # which configs did not have
        del table["data"][name]
    path.write_text(json.dumps(table), "utf-8")
    assert weights(tmp_path / "run", tmp_path / "early.safetensors")
    assert run_here(experiment(data, tmp_path / "run", "dmd"), resume=True) == 4
    assert same(weights(tmp_path / "run", tmp_path / "out.safetensors"), whole[1])


def test_what_cannot_be_exported_is_said(whole, tmp_path):
    with pytest.raises(ConfigError, match="has no checkpoint of step 5; it has 2, 4"):
        export(whole[0], tmp_path / "out.safetensors", step=5)
    with pytest.raises(ConfigError, match="does not hold a run"):
        export(tmp_path, tmp_path / "out.safetensors")
