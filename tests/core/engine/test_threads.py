"""Many threads continue one stream: each gets what it would have got alone."""

import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

import causvid_core as cv
from causvid_core.model.kv_cache import KVRing
from causvid_core.prompts import layout
from causvid_core.prompts.layout import EncodedSchedule, distinct_texts
from causvid_core.prompts.schedule_text import parse_schedule
from causvid_core.stream import LiveCache, cache, snapshot, snapshot_within

from .streams import RECIPES, SIZE, latents, make

THREADS = 4


@pytest.fixture
def hurried(monkeypatch):
    """Threads take turns all the time, above all between a look at a cache and its use."""

    def hesitate(owner, name, seconds=1e-3):
        operation = getattr(owner, name)

        def run(*args):
            time.sleep(seconds)
            return operation(*args)

        monkeypatch.setattr(owner, name, run)

    hesitate(cache, "_writable")
    hesitate(KVRing, "write_prefix")
    hesitate(KVRing, "read_prefix", 0.03)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def together(*tasks):
    """Results of tasks that begin at the same moment, each in its own thread."""
    gate = threading.Barrier(len(tasks))

    def run(task):
        gate.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return [future.result() for future in [pool.submit(run, task) for task in tasks]]


@pytest.mark.usefixtures("hurried")
@pytest.mark.parametrize("name", ["everything", "window"])
def test_threads_that_continue_one_state_do_not_disturb_each_other(model, context, name):
    recipe = RECIPES[name]
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 8)
    whole = latents(blocks)
    wrong = []
    for _ in range(12):
        state = make(model, blocks[4].state.light(), context, 1)[-1].state
        tasks = [lambda state=state: latents(make(model, state, context, 2))] * THREADS
        rest = whole[:, :, state.frames :]
        wrong += [not torch.equal(made, rest) for made in together(*tasks)]
    assert not any(wrong), f"{sum(wrong)} of {len(wrong)} videos are wrong"


@pytest.mark.usefixtures("hurried")
def test_a_snapshot_taken_while_another_thread_renders_is_exact(model, context):
    recipe = RECIPES["window"]
    blocks = make(model, cv.start(recipe, model, **SIZE, seed=7), context, 8)
    whole = latents(blocks)
    wrong = []
    for _ in range(12):
        state = make(model, blocks[4].state.light(), context, 1)[-1].state
        _, *taken = together(
            lambda state=state: make(model, state, context, 3),
            lambda state=state: snapshot(state, model),
            lambda state=state: snapshot_within(state, 2**30),
        )
        for exact in taken:
            made = latents(make(model, exact._replace(live=LiveCache()), context, 2))
            wrong.append(not torch.equal(made, whole[:, :, state.frames :]))
    assert not any(wrong), f"{sum(wrong)} of {len(wrong)} videos are wrong"


@pytest.mark.usefixtures("hurried")
def test_a_thread_that_only_reads_states_sees_every_block(model, context, whole, recipe):
    rollout = cv.rollout(model, cv.start(recipe, model, **SIZE, seed=7), context, 8)
    for block in rollout:
        states = together(*[block._state] * THREADS)
        frames = block.first_frame + block.latents.shape[2]
        assert all(torch.equal(state.latents, whole[:, :, :frames]) for state in states)


@pytest.mark.usefixtures("hurried")
def test_threads_may_share_the_prompts_of_a_schedule(monkeypatch):
    """Hardly a mixed prompt is kept, so that each thread drops what the others ask for."""
    monkeypatch.setattr(layout, "_KEPT", 1)
    entries = parse_schedule("0: a\n2b ~14b: b\n20b ~14b: a")
    texts = {t: torch.full((1, 2, 4), float(ord(t))) for t in distinct_texts(entries)}
    alone = EncodedSchedule(entries, texts).plan(RECIPES["window"])
    expected = [alone.at(block) for block in range(40)]
    shared = EncodedSchedule(entries, texts).plan(RECIPES["window"])

    def ask(first):
        blocks = [(first + number) % 40 for number in range(1200)]
        return all(torch.equal(shared.at(block), expected[block]) for block in blocks)

    assert all(together(*[lambda first=first: ask(first) for first in (0, 3, 9, 0)]))
    assert len(shared._mixed) <= layout._KEPT


def test_a_session_that_is_over_does_not_end_the_lease_of_the_next(model, context, whole, recipe):
    first = cv.rollout(model, cv.start(recipe, model, **SIZE, seed=7), context, 4)
    state = [next(first) for _ in range(4)][-1].state
    second = cv.rollout(model, state, context, 4)
    parts = [next(second)]
    assert state.live.leased
    first.close()
    assert state.live.leased
    third = make(model, state, context, 4)
    parts += second
    rest = whole[:, :, state.frames :]
    assert torch.equal(latents(parts), rest) and torch.equal(latents(third), rest)
    assert not state.live.leased
