"""Rounds over the command line: harm a render, run the same command to its end, compare."""

import errno
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

from .judge import Findings, Whole, film_fault, left_over, remove, stream_fault, whole
from .process import Program, sweep

PATIENCE = 300.0  # seconds for what takes a few
SECONDS = 45 / 16  # four blocks
DAYS = 30 * 3600.0
SIGNALS = {"kill": signal.SIGKILL, "term": signal.SIGTERM, "interrupt": signal.SIGINT}
FRESH_EVERY = 10  # rounds with new interpreters, the others fork this one


class Renders:
    """Renders of the Mini below `base`.

    disk: a small file system to fill; without one, files stop growing at a limit.
    """

    def __init__(self, base: Path, dice: random.Random, disk: Path | None = None) -> None:
        self._base, self._dice, self._disk = base, dice, disk
        self._expected: dict[int, Whole] = {}
        self._seconds = 5.0  # of a whole render
        self._round, self._stopped = 0, False
        self.harms: dict[str, Callable[[Findings, str, int], None]] = {
            **{f"cli {name}": self._killed for name in SIGNALS},
            "cli kills": self._killed,
            "cli full disk": self._full,
            "cli deleted folder": self._deleted,
            "cli clock": self._clock,
            "cli two writers": self._two,
        }

    def round(self, harm: str, findings: Findings) -> None:
        """One round; what is found goes to `findings`."""
        self._round += 1
        self._stopped = False
        seed = self._dice.randrange(3)
        if seed not in self._expected:
            self._expected[seed] = self._undisturbed(seed)
        disk = self._disk if harm == "cli full disk" else None
        self._folder = (disk or self._base) / "round"
        self._out, self._elsewhere = self._folder / "out", self._base / "elsewhere"
        for folder in (self._out, self._elsewhere):
            folder.mkdir(parents=True)
        try:
            self.harms[harm](findings, harm, seed)
            self._finish(findings, harm, seed)
        except TimeoutError as error:
            findings.add("lost", harm, str(error))
        finally:
            shutil.rmtree(self._folder, ignore_errors=True)
            shutil.rmtree(self._elsewhere, ignore_errors=True)

    def _undisturbed(self, seed: int) -> Whole:
        self._folder = self._base / "whole"
        self._out, self._elsewhere = self._folder / "out", self._folder / "elsewhere"
        for folder in (self._out, self._elsewhere):
            folder.mkdir(parents=True)
        begun = time.monotonic()
        program = self._begin(seed)
        if program.wait(PATIENCE):
            raise RuntimeError(f"an undisturbed render failed: {program.told()}")
        self._seconds = time.monotonic() - begun
        found = whole(self._film(), self._stream())
        shutil.rmtree(self._folder)
        return found

    def _film(self, name: str = "clip") -> Path:
        return self._out / f"{name}.mp4"

    def _stream(self, name: str = "clip") -> Path:
        return self._out / f"{name}.safetensors"

    def _begin(
        self, seed: int, *more: str, name: str = "clip", limit: int | None = None
    ) -> Program:
        arguments = ["--quiet", "render", "--prompt", "a large red circle moving right"]
        arguments += ["--size", "64x64", "--scale", "1", "--device", "cpu", "--seed", str(seed)]
        arguments += ["--seconds", str(SECONDS), "--out", str(self._film(name))]
        arguments += ["--save-stream", str(self._stream(name)), *more]
        places = dict.fromkeys(
            ("TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME"), str(self._elsewhere)
        )
        fresh = self._round % FRESH_EVERY == 0
        return Program(arguments, self._folder, places, limit, fresh)

    def _moment(self) -> float:
        return self._dice.uniform(0, 1.1 * self._seconds)

    def _after(
        self,
        program: Program,
        findings: Findings,
        harm: str,
        seed: int,
        taken: frozenset[str] = frozenset(),
    ) -> None:
        """What a render that has ended claims, against what is there.

        taken: results that were removed after it had delivered them, which is no fault of it.
        """
        status, film, stream = program.wait(PATIENCE), self._film(), self._stream()
        expected = self._expected[seed]
        # A film that was stopped softly plays as far as it got, and stays until it is replaced.
        self._stopped |= status == 130
        faults = []
        if film.exists():
            faults.append(film_fault(film, expected, part=self._stopped and status != 0))
        elif status == 0 and film.name not in taken:
            faults.append("it said success, and there is no film")
        if stream.exists():
            faults.append(stream_fault(stream, expected, part=status != 0))
        elif status == 0 and stream.name not in taken:
            faults.append("it said success, and there is no stream")
        for fault in filter(None, faults):
            findings.add("wrong", harm, f"exit status {status}: {fault}")
        if program.left_processes():
            findings.add("orphans", harm, "a process outlived the render")

    def _finish(self, findings: Findings, harm: str, seed: int) -> None:
        """Run the same command to its end, and compare; then sweep."""
        program = self._begin(seed)
        if program.wait(PATIENCE) and (self._film().exists() or self._stream().exists()):
            # The name is taken by what came before: a person would let it be replaced.
            program = self._begin(seed, "--overwrite")
        if program.wait(PATIENCE):
            findings.add("lost", harm, " ".join(program.told().split())[-200:])
            return
        for fault in (
            film_fault(self._film(), self._expected[seed]),
            stream_fault(self._stream(), self._expected[seed]),
        ):
            if fault is not None:
                findings.add("wrong", harm, f"after the second run: {fault}")
        for folder in (self._out, self._elsewhere):
            sweep(folder, self._folder)
        names = ("clip", "other")
        kept = [of(name) for name in names for of in (self._film, self._stream)]
        left = left_over((self._out, self._elsewhere), kept)
        if left:
            findings.add("orphans", harm, ", ".join(left))

    def _killed(self, findings: Findings, harm: str, seed: int) -> None:
        times = self._dice.randint(2, 3) if harm == "cli kills" else 1
        for _ in range(times):
            program = self._begin(seed)
            program.wait_at_most(self._moment())
            name = harm.removeprefix("cli ")
            program.send(SIGNALS.get(name) or self._dice.choice(list(SIGNALS.values())))
            self._after(program, findings, harm, seed)

    def _full(self, findings: Findings, harm: str, seed: int) -> None:
        free = round(2 ** self._dice.uniform(9, 19))  # 0.5 kB to 512 kB
        if self._disk is None:
            self._after(self._begin(seed, limit=free), findings, harm, seed)
            return
        filler = self._disk / "filler"
        space = shutil.disk_usage(self._disk).free - free
        with filler.open("wb") as file:
            try:
                os.posix_fallocate(file.fileno(), 0, max(1, space))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        self._after(self._begin(seed), findings, harm, seed)
        filler.unlink()

    def _deleted(self, findings: Findings, harm: str, seed: int) -> None:
        program = self._begin(seed)
        program.wait_at_most(self._moment())
        taken = remove(self._out)
        self._after(program, findings, harm, seed, taken)

    def _clock(self, findings: Findings, harm: str, seed: int) -> None:
        """Files of a living and of a killed render look 30 hours old, or are of tomorrow."""
        living = self._begin(seed)
        living.wait_at_most(self._moment())
        if self._dice.random() < 0.5:
            living.send(signal.SIGKILL)
        then = time.time() + self._dice.choice((-DAYS, DAYS))
        for folder in (self._out, self._elsewhere):
            for path in folder.rglob("*"):
                try:
                    os.utime(path, (then, then))
                except FileNotFoundError:
                    continue
        other = self._begin(seed, name="other")
        if other.wait(PATIENCE):
            findings.add("lost", harm, f"the other render: {other.told()[-200:]}")
        elif fault := film_fault(self._film("other"), self._expected[seed]):
            findings.add("wrong", harm, fault)
        self._after(living, findings, harm, seed)

    def _two(self, findings: Findings, harm: str, seed: int) -> None:
        """Two processes for one name; the film is of one of them."""
        first = self._begin(seed)
        first.wait_at_most(self._dice.uniform(0, 0.8 * self._seconds))
        second = self._begin(seed)
        succeeded = [program for program in (first, second) if program.wait(PATIENCE) == 0]
        if len(succeeded) != 1:
            told = " ".join(f"{first.told()} | {second.told()}".split())[-200:]
            findings.add(
                "lost" if not succeeded else "wrong",
                harm,
                f"{len(succeeded)} of two writers of one name said success: {told}",
            )
        for program in succeeded:
            self._after(program, findings, harm, seed)
