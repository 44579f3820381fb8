"""Lists of videos to make, from text, CSV or JSON lines, read whole and checked before the first.

A job is a prompt and what may go with it: a seed, a length, a name for its file.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from .job_names import Pattern

SUFFIXES = {".txt", ".csv", ".tsv", ".jsonl"}
FIELDS = ("prompt", "seed", "seconds", "name")
MOST_JOBS = 1000

_LARGEST_FILE = 16 * 2**20
_LONGEST_PROMPT = 20_000
_MOST_PROBLEMS = 5
_LARGEST_SEED = 2**64 - 1
_LONGEST_SECONDS = 3600.0


class JobListError(ValueError):
    """What is wrong with a list: one sentence for every line in question, for the first few."""


@dataclass(frozen=True)
class Job:
    """A video to make, as `line` of the list says; None is what it leaves open."""

    line: int
    prompt: str
    seed: int | None = None
    seconds: float | None = None
    name: str | None = None


@dataclass(frozen=True)
class ReadyJob:
    """A job with everything settled. `filename_prefix` may name folders, never ones outside."""

    prompt: str
    seed: int
    seconds: float
    filename_prefix: str


def read_jobs(path: Path) -> list[Job]:
    """The jobs of a .txt, .csv, .tsv or .jsonl file. JobListError names lines and fields."""
    if path.suffix.lower() not in SUFFIXES:
        raise JobListError(f"{path.name} is no job list; those end with .txt, .csv, .tsv or .jsonl")
    if path.stat().st_size > _LARGEST_FILE:
        raise JobListError(f"{path.name} is larger than {_LARGEST_FILE >> 20} MB")
    raw = path.read_bytes()
    try:
        return parse_jobs(_decoded(raw), path.suffix.lower())
    except JobListError as error:
        raise JobListError(f"{path.name}: {error}") from None


def parse_jobs(text: str, suffix: str) -> list[Job]:
    """The jobs of a text in the format that files with `suffix` have. Raises JobListError."""
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
    """Jobs with what they leave open filled in.

    Job n, from 0, gets the seed `seed + n * seed_step` unless it names one. pattern: see
    `job_names.Pattern`. Raises ValueError for a pattern that makes no file name.
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
        raise JobListError("it is no text; save it as UTF-8")
    return text


def _lines(text: str) -> list[str]:
    """Lines as editors count them."""
    return re.split(r"\r\n|\n|\r", text)


_Rows = Iterator[tuple[int, dict[str, Any] | str]]  # line, and its fields or what is wrong


def _parse_text(text: str) -> _Rows:
    """A prompt a line; blank lines and lines that begin with # are passed over."""
    for number, line in enumerate(_lines(text), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, {"prompt": line.strip()}


def _parse_json(text: str) -> _Rows:
    """An object a line."""
    for number, line in enumerate(_lines(text), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line, object_pairs_hook=_unique)
        except json.JSONDecodeError as error:
            yield number, f"column {error.colno}: {error.msg}, so it is no JSON object"
            continue
        except (ValueError, RecursionError) as error:
            yield number, str(error) if isinstance(error, JobListError) else "it is no JSON object"
            continue
        if not isinstance(fields, dict):
            yield number, f'it is no JSON object such as {{"prompt": "...", "seed": 1}}: {line:.40}'
            continue
        unknown = next((name for name in fields if name not in FIELDS), None)
        yield number, fields if unknown is None else _unknown(unknown)


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
                yield (
                    begun,
                    (
                        f"{len(cells)} cells, but the header has {len(header)}; put a prompt with "
                        'commas in "quotes"'
                    ),
                )
            else:
                yield begun, {n: cell for n, cell in zip(header, cells, strict=False) if cell}
    except csv.Error as error:
        yield line, f"{error}; a quote within quotes is written twice"


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=first.count)


def _wrong_header(header: list[str]) -> str:
    unknown = next((name for name in header if name not in FIELDS), None)
    if "prompt" not in header:
        return f"the first row has to name the columns, with prompt among them: {', '.join(FIELDS)}"
    if unknown is not None:
        return _unknown(unknown)
    return "a column is named twice" if len(set(header)) < len(header) else ""


def _unknown(name: str) -> str:
    return f"{name[:40]!r} is no field; the fields are {', '.join(FIELDS)}"


def _job(line: int, fields: dict[str, Any]) -> tuple[Job, list[str]]:
    """A job, and what is wrong with its fields."""
    job, problems = Job(line, ""), []
    for name, check in _CHECKS.items():
        value = fields.get(name)
        if value is None and name != "prompt":
            continue
        try:
            job = replace(job, **{name: check(value)})
        except (ValueError, OverflowError):
            problems.append(f"{name}: found {str(value)[:40]!r}, expected {_EXPECTED[name]}")
    return job, problems


def _prompt(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > _LONGEST_PROMPT:
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


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or len(value) > 200:
        raise ValueError
    return value.strip()


_CHECKS = {"prompt": _prompt, "seed": _seed, "seconds": _seconds, "name": _name}
_EXPECTED = {
    "prompt": f"a text of at most {_LONGEST_PROMPT:,} characters",
    "seed": "a whole number from 0 to 18446744073709551615",
    "seconds": f"a number above 0 and up to {_LONGEST_SECONDS:g}",
    "name": "a text of at most 200 characters",
}
