"""What a render left behind, against an undisturbed one."""

import hashlib
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import av
import torch

import causvid_core as cv

KINDS = ("lost", "wrong", "orphans")


class Whole(NamedTuple):
    """frames: a digest of each decoded px frame. latents: of the stream."""

    frames: list[str]
    latents: torch.Tensor


class Findings:
    """Counts of lost, wrong and orphaned, by the harm that was done; and each in a sentence."""

    def __init__(self) -> None:
        self.rounds: Counter[str] = Counter()
        self.counts: Counter[tuple[str, str]] = Counter()
        self.sentences: list[str] = []

    def add(self, kind: str, harm: str, sentence: str) -> None:
        self.counts[harm, kind] += 1
        self.sentences.append(f"round {self.rounds.total()}, {harm}: {kind}: {sentence}")

    def table(self) -> str:
        lines = [f"{'harm':<24}{'rounds':>8}" + "".join(f"{kind:>10}" for kind in KINDS)]
        for harm in (*sorted(self.rounds), "all"):
            rounds = self.rounds.total() if harm == "all" else self.rounds[harm]
            found = [
                sum(n for (one, k), n in self.counts.items() if k == kind and harm in (one, "all"))
                for kind in KINDS
            ]
            lines.append(f"{harm:<24}{rounds:>8}" + "".join(f"{n:>10}" for n in found))
        return "\n".join(lines)


def frames_of(path: Path) -> list[str]:
    """A digest of every px frame of a film. Raises OSError or ValueError if it does not open."""
    with av.open(str(path)) as container:
        return [
            hashlib.sha256(frame.to_ndarray(format="rgb24").tobytes()).hexdigest()
            for frame in container.decode(video=0)
        ]


def whole(film: Path, stream: Path) -> Whole:
    return Whole(frames_of(film), cv.load_stream(stream).latents)


def film_fault(film: Path, expected: Whole, part: bool = False) -> str | None:
    """What is wrong with a film that has its final name; part: it may end early."""
    try:
        found = frames_of(film)
    except (OSError, ValueError, IndexError) as error:
        return f"{film.name} does not open: {error}"
    if part and found == expected.frames[: len(found)]:
        return None
    if found != expected.frames:
        return f"{film.name} has {len(found)} frames that differ from the {len(expected.frames)}"
    return None


def stream_fault(stream: Path, expected: Whole, part: bool = False) -> str | None:
    """What is wrong with a stream file; part: it may end early."""
    try:
        found = cv.load_stream(stream).latents
    except (OSError, ValueError) as error:
        return f"{stream.name} does not open: {error}"
    known = expected.latents[:, :, : found.shape[2]] if part else expected.latents
    return None if torch.equal(found, known) else f"the latents of {stream.name} differ"


def left_over(folders: Iterable[Path], kept: Iterable[Path]) -> list[str]:
    """Files below the folders that are not results."""
    kept = set(kept)
    found = (path for folder in folders for path in sorted(folder.rglob("*")))
    return [path.name for path in found if path not in kept and not path.is_dir()]


def remove(folder: Path) -> frozenset[str]:
    """Delete a folder at once, if it is there; the names of the files that were in it."""
    gone = folder.with_name(f"{folder.name}-deleted")
    try:
        folder.rename(gone)  # so that nothing appears between the look and the removal
    except FileNotFoundError:
        return frozenset()
    names = frozenset(path.name for path in gone.rglob("*"))
    shutil.rmtree(gone, ignore_errors=True)
    return names
