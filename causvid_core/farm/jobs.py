"""Lists of videos to make, from text, CSV or JSON lines, read and checked whole before the first.

A job is a prompt and, if given, a seed, a length and a name for its file.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from .job_names import Pattern

SUFFIXES = {".txt", ".csv", ".tsv", ".jsonl"}
MOST_JOBS = 1000

_LARGEST_FILE = 16 * 2**20
_LONGEST_PROMPT = 20_000
_LONGEST_NAME = 200
_MOST_PROBLEMS = 5
_LARGEST_SEED = 2**64 - 1
_LONGEST_SECONDS = 3600.0


class JobListError(ValueError):
    """What is wrong with a list: one sentence for each of the first few lines in question."""


@dataclass(frozen=True)
class Job:
    """A video to make, as line `line` of the list says; None where it leaves a field open."""

    line: int
    prompt: str
    seed: int | None = None
    seconds: float | None = None
    name: str | None = None


@dataclass(frozen=True)
class ReadyJob:
    """A job with every field filled in. filename_prefix may name folders, but none outside."""

    prompt: str
    seed: int
    seconds: float
    filename_prefix: str


def read_jobs(path: Path) -> list[Job]:
    """The jobs of a .txt, .csv, .tsv or .jsonl file. Raises JobListError, naming lines."""
    if path.suffix.lower() not in SUFFIXES:
        raise JobListError(f"{path.name} is not a job list; use a .txt, .csv, .tsv or .jsonl file")
    if path.stat().st_size > _LARGEST_FILE:
        raise JobListError(f"{path.name} is larger than {_LARGEST_FILE >> 20} MB")
    raw = path.read_bytes()
    try:
        return parse_jobs(_decoded(raw), path.suffix.lower())
    except JobListError as error:
        raise JobListError(f"{path.name}: {error}") from None


def parse_jobs(text: str, suffix: str) -> list[Job]:
    """The jobs of a text in the format of files with `suffix`. Raises JobListError."""
    parse = {".txt": _parse_text, ".jsonl": _parse_json}.get(suffix, _parse_table)
    jobs, problems = [], []
    for line, fields in parse(text.removeprefix("\ufeff")):
        if isinstance(fields, str):
            problems.append(f"line {line}: {fields}")
        else:
            job, wrong = _job(line, fields)
            jobs.append(job)
            problems += [f"line {line}, {sentence}" for sentence in wrong]
        if len(problems) > _MOST_PROBLEMS:
            break
        if len(jobs) > MOST_JOBS:
            problems.append(f"line {line}: more than {MOST_JOBS:,} jobs; split the list")
            break
    if problems:
        more = ["and more"] if len(problems) > _MOST_PROBLEMS else []
        raise JobListError("; ".join([*problems[:_MOST_PROBLEMS], *more]))
    if not jobs:
        raise JobListError("there is no prompt in it")
    return jobs


def settle(
    jobs: Sequence[Job], pattern: str, *, seed: int = 0, seed_step: int = 1, seconds: float = 5.0
) -> list[ReadyJob]:
    """The jobs with the fields that they leave open filled in.

    Job n, from 0, gets the seed `seed + n * seed_step` unless it names one. pattern: see
    `job_names.Pattern`. Raises ValueError for a pattern that gives no file name.
    """
    names = Pattern(pattern)
    ready = []
    for number, job in enumerate(jobs):
        chosen = (seed + number * seed_step) % (_LARGEST_SEED + 1) if job.seed is None else job.seed
        try:
            prefix = names.fill(index=number + 1, prompt=job.prompt, seed=chosen, name=job.name)
        except ValueError as error:
            raise JobListError(f"line {job.line}: {error}") from None
        length = seconds if job.seconds is None else job.seconds
        ready.append(ReadyJob(job.prompt, chosen, length, prefix))
    return ready


def _decoded(raw: bytes) -> str:
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise JobListError(f"line {line} is not UTF-8; save the file as UTF-8") from None
    if "\0" in text:
        raise JobListError("it is not text; save it as UTF-8")
    return text


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines that are not blank, with their numbers, as editors count them."""
    lines = enumerate(re.split(r"\r\n|\n|\r", text), 1)
    return ((number, line) for number, line in lines if line.strip())


_Rows = Iterator[tuple[int, dict[str, Any] | str]]  # line, and its fields or what is wrong


def _parse_text(text: str) -> _Rows:
    """One prompt per line; blank lines and lines that begin with # are skipped."""
    for number, line in _lines(text):
        if not line.lstrip().startswith("#"):
            yield number, {"prompt": line.strip()}


def _parse_json(text: str) -> _Rows:
    """One object per line."""
    return ((number, _object(line)) for number, line in _lines(text))


def _object(line: str) -> dict[str, Any] | str:
    """The fields of a line, or what is wrong with it."""
    try:
        fields = json.loads(line, object_pairs_hook=_unique)
    except json.JSONDecodeError as error:
        return f"column {error.colno}: {error.msg}, so it is not a JSON object"
    except JobListError as error:
        return str(error)
    except (ValueError, RecursionError):
        return "it is not a JSON object"
    if not isinstance(fields, dict):
        return f'it is not a JSON object such as {{"prompt": "...", "seed": 1}}: {line:.40}'
    unknown = next((name for name in fields if name not in FIELDS), None)
    return fields if unknown is None else _unknown(unknown)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise JobListError("it names a field twice")
    return fields


def _parse_table(text: str) -> _Rows:
    """Rows below a header; commas, semicolons or tabs between the cells."""
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for row in rows:
            begun, line = line, rows.line_num + 1
            cells = [cell.strip() for cell in row]
            if not any(cells):
                continue
            if header is None:
                header = [cell.lower() for cell in cells]
                wrong = _wrong_header(header)
                if wrong:
                    yield begun, wrong
                    return
            elif any(cells[len(header) :]):
                wrong = f"{len(cells)} cells, but the header has {len(header)}"
                yield begun, f'{wrong}; put a prompt with commas in "quotes"'
            else:
                yield begun, {n: cell for n, cell in zip(header, cells, strict=False) if cell}
    except csv.Error as error:
        yield line, f"{error}; write a quote inside quotes twice"


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=first.count)


def _wrong_header(header: list[str]) -> str:
    unknown = next((name for name in header if name not in FIELDS), None)
    if "prompt" not in header:
        return f"the first row must name the columns, with prompt among them: {', '.join(FIELDS)}"
    if unknown is not None:
        return _unknown(unknown)
    return "a column is named twice" if len(set(header)) < len(header) else ""


def _unknown(name: str) -> str:
    return f"{name[:40]!r} is not a field; the fields are {', '.join(FIELDS)}"


def _job(line: int, fields: dict[str, Any]) -> tuple[Job, list[str]]:
    """A job, and what is wrong with its fields."""
    checked: dict[str, Any] = {"prompt": ""}
    problems = []
    for name, (check, expected) in _FIELDS.items():
        value = fields.get(name)
        if value is None and name != "prompt":
            continue
        try:
            checked[name] = check(value)
        except (ValueError, OverflowError):
            problems.append(f"{name}: found {str(value)[:40]!r}, expected {expected}")
    return Job(line, **checked), problems


def _text(value: Any, longest: int) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > longest:
        raise ValueError
    return value.strip()


def _seed(value: Any) -> int:
    if type(value) not in (int, str) or not 0 <= int(value) <= _LARGEST_SEED:
        raise ValueError
    return int(value)


def _seconds(value: Any) -> float:
    if type(value) not in (int, float, str):
        raise ValueError
    seconds = float(value.replace(",", ".") if isinstance(value, str) else value)
    if not math.isfinite(seconds) or not 0 < seconds <= _LONGEST_SECONDS:
        raise ValueError
    return seconds


# How the value of each field is checked, and what was expected when that fails.
_FIELDS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "prompt": (
        partial(_text, longest=_LONGEST_PROMPT),
        f"a text of at most {_LONGEST_PROMPT:,} characters",
    ),
    "seed": (_seed, f"a whole number from 0 to {_LARGEST_SEED}"),
    "seconds": (_seconds, f"a number above 0 and up to {_LONGEST_SECONDS:g}"),
    "name": (
        partial(_text, longest=_LONGEST_NAME),
        f"a text of at most {_LONGEST_NAME} characters",
    ),
}
FIELDS = tuple(_FIELDS)
