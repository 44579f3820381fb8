"""Downloads against a small Hub on loopback: commits, resuming, sentences, conversion."""

import io
import json
import logging

import pytest
import torch
from safetensors import safe_open

import causvid_core as cv
from causvid_core.model.checkpoints import DOWNLOADS, CheckpointError, download

from .checkpoint_layouts import assert_same, prefixed, wan
from .small_hub import COMMIT, SmallHub

STATE = wan()


def pt_bytes(content) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


@pytest.fixture
def hub(monkeypatch, tmp_path):
    from huggingface_hub import constants

    server = SmallHub()
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 4096)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(variable, raising=False)
    generator = pt_bytes({"generator": prefixed(STATE, "model."), "critic": {}})
    server.files = {
        ("tianweiy/CausVid", "autoregressive_checkpoint/model.pt"): generator,
        ("gdhe17/Self-Forcing", "checkpoints/self_forcing_dmd.pt"): generator,
        ("lightx2v/Autoencoders", "lighttaew2_1.pth"): bytes(range(256)) * 200,
    }
    yield server
    server.close()


def resolved(hub, command="GET"):
    return [(path, span) for c, path, span in hub.requests if c == command and "resolve" in path]


def test_a_pinned_checkpoint_is_converted_and_noted(hub, tmp_path, caplog):
    seen = []
    with caplog.at_level(logging.INFO, "causvid"):
        path = download("self-forcing", tmp_path, lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "self-forcing.safetensors"
    assert_same(cv.load_model(path), STATE)
    pinned = DOWNLOADS["self-forcing"].repository.revision
    assert all(pinned in request for request, _ in resolved(hub))
    assert not any("/api/" in request for _, request, _ in hub.requests)
    assert "Apache-2.0" in caplog.text and pinned in caplog.text
    size = len(hub.files["gdhe17/Self-Forcing", "checkpoints/self_forcing_dmd.pt"])
    assert (size, size) in seen and seen[0][0] < size
    record = json.loads((tmp_path / "self-forcing.safetensors.source.json").read_text())
    assert record["commit"] == pinned
    assert record["licence"].startswith("Apache-2.0")
    assert record["files"]["checkpoints/self_forcing_dmd.pt"]["bytes"] == size
    with safe_open(path, "pt") as file:
        assert json.loads(file.metadata()["causvid"])["repository"] == "gdhe17/Self-Forcing"
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "self-forcing.safetensors",
        "self-forcing.safetensors.source.json",
    ]


def test_an_unpinned_branch_is_resolved_once_and_then_kept(hub, tmp_path):
    path = download("causvid", tmp_path)
    assert all(f"/resolve/{COMMIT}/" in request for request, _ in resolved(hub))
    path.unlink()
    hub.main, hub.requests = "f" * 40, []
    download("causvid", tmp_path)
    assert all(f"/resolve/{COMMIT}/" in request for request, _ in resolved(hub))
    assert not any("/api/" in request for _, request, _ in hub.requests)


def test_other_content_under_the_same_commit_is_refused(hub, tmp_path):
    download("lighttae", tmp_path).unlink()
    hub.files["lightx2v/Autoencoders", "lighttaew2_1.pth"] = b"something else"
    with pytest.raises(CheckpointError, match="has changed since it was first downloaded"):
        download("lighttae", tmp_path)
    assert not (tmp_path / "lighttaew2_1.pth").exists()


def test_a_second_download_asks_nothing(hub, tmp_path):
    first = download("lighttae", tmp_path)
    hub.requests = []
    assert download("lighttae", tmp_path) == first
    assert hub.requests == []
    first.write_bytes(b"edited")
    with pytest.raises(CheckpointError, match="changed after its download"):
        download("lighttae", tmp_path)


def test_an_interrupted_download_continues(hub, tmp_path):
    content = hub.files["lightx2v/Autoencoders", "lighttaew2_1.pth"]
    hub.cut_after = len(content) // 2
    with pytest.raises(CheckpointError, match="continues where it stopped"):
        download("lighttae", tmp_path)
    final = tmp_path / "lighttaew2_1.pth"
    assert not final.exists()
    (part,) = tmp_path.glob(".*.part")
    done = part.stat().st_size
    assert 4096 <= done <= len(content) // 2
    hub.broken, hub.requests = False, []
    assert download("lighttae", tmp_path) == final
    assert final.read_bytes() == content
    assert [span for _, span in resolved(hub)] == [f"bytes={done}-"]
    assert not list(tmp_path.glob(".*.part"))


def test_progress_may_cancel_and_the_rest_is_fetched_later(hub, tmp_path):
    class Cancel(Exception):
        pass

    def cancel(done, total):
        if done > total // 2:
            raise Cancel

    with pytest.raises(Cancel):
        download("lighttae", tmp_path, cancel)
    assert not (tmp_path / "lighttaew2_1.pth").exists()
    hub.requests = []
    path = download("lighttae", tmp_path)
    assert path.read_bytes() == hub.files["lightx2v/Autoencoders", "lighttaew2_1.pth"]
    assert resolved(hub)[0][1].startswith("bytes=")


def test_damage_on_the_way_is_noticed(hub, tmp_path):
    hub.damage = True
    with pytest.raises(CheckpointError, match="arrived damaged"):
        download("lighttae", tmp_path)
    assert [p.suffix for p in tmp_path.iterdir()] == [".json"]


def test_missing_files_repositories_and_names(hub, tmp_path):
    del hub.files["lightx2v/Autoencoders", "lighttaew2_1.pth"]
    hub.files["lightx2v/Autoencoders", "other"] = b""
    for name, sentence in (
        ("lighttae", "lightx2v/Autoencoders has no file lighttaew2_1.pth"),
        ("krea-realtime", "krea/krea-realtime-video does not exist"),
        ("self-forcin", "no download named self-forcin; did you mean self-forcing"),
    ):
        with pytest.raises(CheckpointError, match=sentence) as caught:
            download(name, tmp_path)
        assert "\n" not in str(caught.value)


def test_an_unreachable_hub(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with pytest.raises(CheckpointError, match="could not be downloaded"):
        download("self-forcing", tmp_path)


def test_a_lora_is_merged_while_converting(hub, tmp_path):
    down, up = torch.randn(4, 128), torch.randn(128, 4)
    lora = {
        "base_model.model.blocks.0.self_attn.q.lora_A.weight": down,
        "base_model.model.blocks.0.self_attn.q.lora_B.weight": up,
    }
    repo = "Efficient-Large-Model/LongLive-1.3B"
    hub.files[repo, "models/longlive_base.pt"] = pt_bytes({"model": STATE})
    hub.files[repo, "models/lora.pt"] = pt_bytes({"generator_lora": lora})
    path = download("longlive", tmp_path, keep_original=True)
    name = "blocks.0.self_attn.q.weight"
    merged = cv.load_model(path).state_dict()[name]
    torch.testing.assert_close(merged, STATE[name] + up @ down)
    assert {p.name for p in tmp_path.iterdir()} == {
        "longlive.pt",
        "longlive.lora.pt",
        path.name,
        f"{path.name}.source.json",
    }


def test_the_original_can_be_kept_as_it_is(hub, tmp_path):
    path = download("causvid", tmp_path, as_safetensors=False)
    content = hub.files["tianweiy/CausVid", "autoregressive_checkpoint/model.pt"]
    assert (path.name, path.read_bytes()) == ("causvid.pt", content)


def test_every_pinned_revision_is_a_commit():
    for name, entry in DOWNLOADS.items():
        revision = entry.repository.revision
        assert revision is None or (len(revision) == 40 and int(revision, 16)), name
        assert entry.repository.licence
        assert entry.about


def test_parts_of_earlier_contents_are_removed_and_one_file_has_one_writer(hub, tmp_path):
    old = tmp_path / ".lighttaew2_1.pth.0123456789ab.part"
    other = tmp_path / ".lighttaew2_1.pth.more.0123456789ab.part.kept"
    for path in (old, other):
        path.write_bytes(b"half")
    name = "lighttaew2_1.pth"

    def again(done, total):
        with pytest.raises(OSError, match=f"{name}.* is being written by process"):
            download("lighttae", tmp_path)

    assert download("lighttae", tmp_path, again).exists()
    assert not old.exists() and other.exists() and not list(tmp_path.glob(".*causvid*"))
