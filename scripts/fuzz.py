"""Opens damaged and forged files of every kind that people hand on: `python scripts/fuzz.py`.

Small checkpoints, LoRAs, VAEs, tiny decoders, archives of torch.save old and new, indexes, and
streams are mutated and opened. Each must open, or be refused with a ValueError or an OSError,
within a second of the processor and 100 MB. Prints figures; exit status 1 when a file did
anything else.
"""

import argparse
import tempfile
from pathlib import Path

from hosting import command

NEEDED = ("torch", "safetensors", "einops", "av")


def main() -> int:
    arguments = parse_arguments()
    if (status := command.run_where(NEEDED)) is not None:
        return status
    command.import_core()
    with tempfile.TemporaryDirectory() as folder:
        from measuring.fuzzing import fuzz  # needs packages that only the environment has

        figures = fuzz(Path(folder), arguments.count, arguments.seed)
    figures.show()
    return 1 if figures.wrong else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Open damaged and forged files of every kind.")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    command.run(main)
