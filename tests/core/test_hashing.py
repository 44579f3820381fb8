"""Content hashes tell contents apart, and never change: files keep them."""

from typing import NamedTuple

import pytest
import torch

from causvid_core.hashing import content_hash, file_sha256


class Pair(NamedTuple):
    a: int
    b: str


PARTS = [
    ("a", 1),
    ("a", 1.0),
    ("a", "1"),
    ("a1",),
    (b"a", 1),
    ("a", torch.tensor([1])),
    ("a", torch.tensor([1.0])),
    ("a", torch.tensor([[1]])),
    ("a", "b"),
    ("ab", ""),
    ("1",),
    (1,),
    (1.0,),
    (b"1",),
    (None,),
    ("None",),
    ((1, 2),),
    (1, 2),
    ((1, (2,)),),
    (Pair(1, "b"),),
    ((1, "b"),),
    (torch.tensor([1.0]),),
    (torch.tensor([[1.0]]),),
    (torch.tensor([1.0], dtype=torch.bfloat16),),
    (torch.tensor(1.0),),
]


def test_different_contents_hash_differently():
    assert len({content_hash(*parts) for parts in PARTS}) == len(PARTS)
    assert content_hash(torch.arange(6).view(2, 3).T) == content_hash(
        torch.tensor([[0, 3], [1, 4], [2, 5]])
    )


def test_hashes_are_those_that_files_already_hold():
    kept = content_hash("a red circle", 3, 0.5, b"\x00", torch.arange(3, dtype=torch.bfloat16))
    assert kept == "fac2ac6da7907c5078ccc0960648f2bf"


def test_what_has_no_stable_content_is_refused():
    with pytest.raises(TypeError, match="list has no content hash"):
        content_hash([1])


def test_a_file_hashes_as_its_bytes(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"abc")
    assert file_sha256(path).startswith("ba7816bf8f01cfea")
