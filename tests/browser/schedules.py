"""Prompt schedules to try the timeline's JavaScript on, from tests/core and of its own making."""

import importlib.util
import random
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from causvid_core.prompts.entries import SCENE_SECONDS

CORE_TESTS = Path(__file__).resolve().parents[1] / "core"
MORE_SIGNS = [
    "[cut]",
    " #",
    "+",
    "f",
    "min",
    "9",
    "\r\n",
    "\u3000",
    "\x85",
    "\x1c",
    "\ufeff",
    "😀",
    "\u017f",
    "\u212a",
    "²",
    "五",
    "_",
    "〜",
    "【flush】",
    "block 2",
    "12",
    "0:",
    "~1s",
    "~2b",
    "[Recache]",
    "12f:",
    "b3:",
    "99999999999",
    ".5",
    "1,5",
    "×",
    "＊",
    "−",
    "\u2028",
]
BODIES = ["a dog", "a | b", "2 * a | 0.5*b", "😀 a #c", " a\\|b\\#", " 3 x", "1 * z", "0.5 * z"]
HAND_WRITTEN = [
    "0: a\n3s ~1s [cut]: b # c\n\n# d\n 12b[FLUSH]~2: e\nf",
    "# only\n\n0:a",
    "a red circle",
    "３：０５： a\n９ｓ： b",
    "0: a\n2min: b\n2:30: c\n1:00:00,5: d",
    "１２ｂ： a\n13 Blocks ～２ｂ： b",
    "0: 0.7 * a \\| b | 0.3 × c",
    "b0: a\nf9: b\n3s: c",
    "first\nsecond\n12s: third\nfourth",
    "0f: a\r\n9f: b\r\n21f ~12f: c",
    "0: a\n0.5s: b\n0.56s: c\n0.6s: d",
    "\ufeff0: a\n0,5 sec: b",
]


def core_cases(name: str) -> ModuleType:
    """A module of the core's own tests of schedules."""
    spec = importlib.util.spec_from_file_location(f"core_{name}", CORE_TESTS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CORE = core_cases("test_timeline_text")
OTHER_TOOLS = core_cases("test_other_tools")
SIGNS = CORE.SIGNS + MORE_SIGNS


def corpus(count: int) -> Iterator[tuple[str, float]]:
    """Texts, right and wrong, each with its scene_seconds; `count` of them at random."""
    rng = random.Random(5)
    for test in (CORE.test_text_without_times_is_one_prompt, CORE.test_errors_name_the_place):
        for values in test.pytestmark[0].args[1]:
            yield (values if isinstance(values, str) else values[0]), SCENE_SECONDS
    for typed, *_ in CORE.test_times_in_every_spelling.pytestmark[0].args[1]:
        for line in (f"{typed}: a", f"\t {typed} : a", f"{typed}：a", f"{typed}[cut]:a"):
            yield line, SCENE_SECONDS
    for text in [*HAND_WRITTEN, *others_texts()]:
        yield text, SCENE_SECONDS
    for number in range(count):
        makers = (CORE.typed_schedule, signs, mistyped)
        yield makers[number % 3](rng), rng.choice([5.0, 0.1, 1 / 3, 2.7, 3600.0, 3.14159265358979])


def others_texts() -> list[str]:
    """Schedules as other tools write them, right and wrong, and ours that resemble them."""
    converted = [text for text, _ in OTHER_TOOLS.WRITTEN_BY_OTHERS.values()]
    return [*converted, *OTHER_TOOLS.OUR_OWN, *OTHER_TOOLS.MISFITS]


def signs(rng: random.Random) -> str:
    """Anything."""
    return "".join(rng.choices(SIGNS, k=rng.randint(1, 14)))


def mistyped(rng: random.Random) -> str:
    """A schedule, often with something wrong in it."""
    text, clock = "", 0
    for _ in range(rng.randint(1, 5)):
        clock += rng.randint(rng.random() > 0.1, 40)
        text += rng.choice(
            [
                f"{clock}",
                f"{clock}s",
                f"{clock * 16}f",
                f"{clock}.25 sec",
                f"b{clock}",
                "",
                "",
                f"{clock // 60}:{clock % 60:02}",
                f"{clock} blocks",
                f"{clock}min",
                "[cut]",
                "~2b",
            ]
        )
        text += rng.choice(["", "", "", " ~1s", " ~0,5", "[flush]", " [ CARRY ] ", " ~3f [cut]"])
        text += rng.choice([":", ": ", "：", ": ", ": ", " "]) + rng.choice(BODIES)
        text += rng.choice(["\n", "\r\n", " # c\n", "\n\n", "\n# c\n"])
    for _ in range(rng.choice([0, 0, 1, 2])):
        at = rng.randint(0, len(text))
        text = text[:at] + rng.choice(SIGNS) + text[at + rng.randint(0, 1) :]
    return text
