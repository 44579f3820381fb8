"""Damaged and forged files of every kind are opened or refused, never anything else."""

from measuring import fuzzing


def test_no_file_gets_past_the_readers(tmp_path):
    figures = fuzzing.fuzz(tmp_path, 240, seed=2)
    assert not figures.wrong
    assert sum(figures.refused.values()) > 200 and len(figures.refused) == 8


def test_the_good_files_open(tmp_path):
    for kind in fuzzing.kinds(tmp_path):
        (tmp_path / kind.file).write_bytes(kind.content)
        kind.open(tmp_path / kind.file)
