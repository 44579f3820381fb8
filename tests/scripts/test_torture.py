"""The judge of scripts/torture.py sees what is lost, wrong or left over."""

import os

import pytest
import torch
from torturing.judge import Findings, Whole, film_fault, frames_of, left_over, remove

from causvid_core.media.video import write_mp4

pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs fork and signals")


@pytest.fixture
def film(tmp_path):
    path = tmp_path / "clip.mp4"
    write_mp4(path, torch.linspace(0, 1, 8).view(8, 1, 1, 1).expand(8, 32, 32, 3), 16.0)
    return path


def test_a_film_is_judged_by_its_frames(film):
    frames = frames_of(film)
    assert len(frames) == 8
    assert film_fault(film, Whole(frames, torch.zeros(1))) is None
    longer = Whole([*frames, "more"], torch.zeros(1))
    assert "8 frames that differ from the 9" in film_fault(film, longer)
    assert film_fault(film, longer, part=True) is None
    assert film_fault(film, Whole(frames[::-1], torch.zeros(1)), part=True) is not None
    film.write_bytes(film.read_bytes()[:40])
    assert "does not open" in film_fault(film, longer, part=True)
    film.unlink()
    assert "does not open" in film_fault(film, longer)


def test_findings_are_counted_by_harm_and_kind():
    findings = Findings()
    findings.rounds.update({"cli kill": 3, "cli clock": 2})
    findings.add("lost", "cli kill", "gone")
    findings.add("orphans", "cli clock", "a.part.mp4")
    findings.add("orphans", "cli kill", "b.lock")
    rows = [line.split() for line in findings.table().splitlines()]
    assert rows[1:] == [
        ["cli", "clock", "2", "0", "0", "1"],
        ["cli", "kill", "3", "1", "0", "1"],
        ["all", "5", "1", "0", "2"],
    ]


def test_what_is_no_result_is_left_over(film, tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / ".clip.mp4.lock").touch()
    assert left_over([tmp_path], [film]) == [".clip.mp4.lock"]


def test_what_a_removed_folder_held_is_known(film, tmp_path):
    assert remove(tmp_path / "none") == frozenset()
    folder = tmp_path / "out"
    folder.mkdir()
    film.rename(folder / film.name)
    assert remove(folder) == {film.name} and not list(tmp_path.iterdir())
