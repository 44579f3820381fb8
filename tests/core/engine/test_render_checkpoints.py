"""Checkpoints of a render: found by the same render alone, kept wherever there is room."""

import errno
from pathlib import Path

import pytest

import causvid_core as cv
from causvid_core.storage import Checkpoints, SpaceWatch, StreamJournal, decisive, render_key
from causvid_core.stream import snapshot_within

from .stream_files import same
from .streams import SIZE

BLOCKS = 6


@pytest.fixture
def made(wan, windowed, context):
    """A begun stream, and its states after one block to six."""
    begun = cv.start(windowed, wan(), **SIZE, seed=4)
    return begun, [block.state for block in cv.rollout(wan(), begun, context, BLOCKS)]


class Watched:
    """Checkpoints in folders, with what they say."""

    def __init__(self, folders, begun, every=2, blocks=BLOCKS + 2):
        self.said: list[tuple[str, dict]] = []
        self.checkpoints = Checkpoints(
            folders,
            lambda: "key",
            begun,
            blocks,
            every,
            lambda event, values: self.said.append((event, values)),
        )

    @property
    def events(self):
        return [event for event, _ in self.said]


def test_the_same_render_resumes_and_nothing_is_left_behind(made, tmp_path):
    begun, states = made
    first = Watched([tmp_path], begun)
    assert first.checkpoints.resume() is begun
    for state in states[:5]:
        first.checkpoints(state)
    first.checkpoints.close()
    again = Watched([tmp_path], begun)
    found = again.checkpoints.resume()
    assert same(found, states[3].light())
    assert again.said == [("resuming", {"done": 4, "blocks": BLOCKS + 2})]
    again.checkpoints(states[5])
    assert same(Watched([tmp_path], begun).checkpoints.resume(), states[5].light())
    again.checkpoints.remove()
    assert not tmp_path.exists()


def test_a_long_stream_is_not_read_for_its_key_before_that_is_needed(made, tmp_path):
    begun, states = made
    asked = []

    def key():
        asked.append(True)
        return "key"

    checkpoints = Checkpoints([tmp_path], key, begun, 8, 2, lambda *said: None)
    assert checkpoints.resume() is begun
    checkpoints(states[0])
    checkpoints.remove()
    assert not asked
    checkpoints(states[1])
    checkpoints(states[3])
    assert len(asked) == 1


def test_a_render_that_failed_behind_its_last_block_makes_that_again(made, tmp_path):
    begun, states = made
    first = Watched([tmp_path], begun, blocks=BLOCKS)
    first.checkpoints(states[5])
    assert not list(tmp_path.iterdir())  # its result is handed over in a moment
    first.checkpoints.save(states[5])
    first.checkpoints.close()
    found = Watched([tmp_path], begun, blocks=BLOCKS).checkpoints.resume()
    assert same(found, states[4].light())


def test_a_folder_that_was_deleted_is_made_again_with_everything(made, tmp_path):
    begun, states = made
    watched = Watched([tmp_path / "a"], begun)
    watched.checkpoints(states[1])
    for file in (tmp_path / "a").iterdir():
        file.unlink()
    (tmp_path / "a").rmdir()
    watched.checkpoints(states[3])
    assert same(Watched([tmp_path / "a"], begun).checkpoints.resume(), states[3].light())
    assert watched.events == []


def fill(monkeypatch, full: Path):
    """No journal in a folder can be written any more."""
    append = StreamJournal.append

    def refuse(journal, state):
        if journal.path.parent == full and not refuse.freed:
            raise OSError("no space") from OSError(errno.ENOSPC, "no space")
        append(journal, state)

    refuse.freed = False
    monkeypatch.setattr(StreamJournal, "append", refuse)
    return refuse


def test_a_full_disk_sends_them_elsewhere(made, tmp_path, monkeypatch):
    begun, states = made
    full, other = tmp_path / "full", tmp_path / "other"
    watched = Watched([full, other], begun)
    watched.checkpoints(states[1])
    fill(monkeypatch, full)
    watched.checkpoints(states[3])
    watched.checkpoints(states[5])
    assert watched.events == ["not_written", "elsewhere"]
    found = Watched([full, other], begun)
    assert same(found.checkpoints.resume(), states[5].light())
    watched.checkpoints.remove()
    assert not full.exists() and not other.exists()


def test_a_full_disk_takes_the_oldest_of_others_that_nobody_writes(made, tmp_path, monkeypatch):
    begun, states = made
    old, used = tmp_path / "old.journal", tmp_path / "used.journal"
    StreamJournal(old, begun).close()
    writer = Checkpoints([tmp_path], lambda: "used", begun, 9, 1, lambda *said: None)
    writer(states[0])
    refuse = fill(monkeypatch, tmp_path)
    unlink = Path.unlink

    def free(path, **options):
        refuse.freed = refuse.freed or path == old
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", free)
    watched = Watched([tmp_path], begun)
    watched.checkpoints(states[1])
    assert watched.events == [] and not old.exists() and used.exists()
    assert same(Watched([tmp_path], begun).checkpoints.resume(), states[1].light())


def test_what_cannot_be_written_or_used_is_said_once_and_ends_nothing(made, tmp_path, monkeypatch):
    begun, states = made
    watched = Watched([tmp_path], begun, every=1)
    watched.checkpoints(states[0])
    watched.checkpoints.close()
    content = bytearray((tmp_path / "key.journal").read_bytes())
    content[60] ^= 1
    (tmp_path / "key.journal").write_bytes(content)
    again = Watched([tmp_path], begun, every=1)
    assert again.checkpoints.resume() is begun and again.events == ["unusable"]
    again.checkpoints(states[0])
    assert same(Watched([tmp_path], begun).checkpoints.resume(), states[0].light())
    fill(monkeypatch, tmp_path)
    for state in states[1:]:
        again.checkpoints(state)
    assert again.events == ["unusable", "not_written"]


def test_others_are_dropped_only_where_nothing_else_helps(made, tmp_path, monkeypatch):
    begun, states = made
    full, other = tmp_path / "full", tmp_path / "other"
    full.mkdir()
    StreamJournal(full / "old.journal", begun).close()
    fill(monkeypatch, full)
    Watched([full, other], begun).checkpoints(states[1])
    assert (full / "old.journal").exists()
    assert same(Watched([full, other], begun).checkpoints.resume(), states[1].light())


def test_a_state_that_cannot_be_saved_ends_nothing(made, tmp_path, monkeypatch):
    begun, states = made
    monkeypatch.setattr(type(begun), "light", lambda state: (_ for _ in ()).throw(ValueError("no")))
    watched = Watched([tmp_path], begun)
    watched.checkpoints(states[1])
    assert watched.events == ["not_written"]


def test_one_of_two_equal_renders_writes(made, tmp_path):
    begun, states = made
    first, second = Watched([tmp_path], begun), Watched([tmp_path], begun)
    first.checkpoints(states[1])
    second.checkpoints(states[1])
    second.checkpoints(states[3])
    second.checkpoints.remove()
    assert second.events == ["in_use"]
    first.checkpoints(states[3])
    assert same(Watched([tmp_path], begun).checkpoints.resume(), states[3].light())


def test_a_cache_of_8_bits_resumes_where_it_was_kept(wan, windowed, context, tmp_path):
    begun = cv.start(windowed, wan(), **SIZE, seed=4)
    *_, last = cv.rollout(wan(), begun, context, 2)
    begun = snapshot_within(last.state, 10**9, int8=True)
    run = cv.rollout(wan(), begun, context, 4)
    watched = Watched([tmp_path], begun, every=1, blocks=4)
    states = []
    for block in run:
        watched.checkpoints(block.state)
        states.append(block.state)
    kept = [path for path in tmp_path.iterdir() if path.suffix == ".cache"]
    assert len(kept) == 1
    found = Watched([tmp_path], begun, blocks=4).checkpoints.resume()
    assert found.blocks == begun.blocks + 3 and found.snapshot is not None
    journal = StreamJournal(tmp_path / "key.journal", begun)
    journal._append(states[3])  # as a kill between the two leaves it
    journal.close()
    again = Watched([tmp_path], begun, blocks=5).checkpoints.resume()
    assert same(again, found)
    kept[0].rename(kept[0].with_name("key.journal.4.cache"))  # does not fit: it is not trusted
    assert Watched([tmp_path], begun, blocks=4).checkpoints.resume() is begun


def test_the_key_tells_renders_apart(made, context):
    begun, states = made
    key = render_key(decisive(begun, context, "carry", 3))
    assert key == render_key(decisive(begun, context.clone(), "carry", 3))
    others = [
        decisive(begun, context + 1e-3, "carry", 3),
        decisive(begun, context, "cut", 3),
        decisive(begun, context, "carry", 4),
        decisive(begun._replace(seed=5), context, "carry", 3),
        decisive(states[0], context, "carry", 3),
    ]
    assert len({key, *map(render_key, others)}) == 6


def test_space_is_said_before_it_runs_out(tmp_path):
    free = 1000.0
    watch = SpaceWatch(tmp_path, 0.75, lambda folder: free)
    said = []
    for done in range(1, 40):
        free -= 20  # for 50 blocks in all
        if (minutes := watch.minutes_left(done, 100 - done)) is not None:
            said.append((done, round(minutes * 60)))
    assert said == [(4, 34), (27, 17), (39, 8)]
    roomy = SpaceWatch(tmp_path, 0.75, lambda folder: 10**9)
    assert all(roomy.minutes_left(done, 100 - done) is None for done in range(40))
