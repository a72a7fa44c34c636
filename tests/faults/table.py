"""The table of a long run: `python tests/faults/table.py TRIALS.jsonl RESULTS.md`."""

import sys
from collections import Counter
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from faults.verdicts import latest

COLUMNS = ("survived", "detected", "lost", "wrong", "traceback", "hang", "over memory")
TITLE = """# What became of all trials

Written by `make faults`; what the columns mean is in [README.md](README.md). Memory is the most of
any trial, beyond what the imports take.

| kind | tried | {} | MB |
|---|---{}|---|
"""


def table(lines: list[str]) -> str:
    """Return the table of trials, one line of JSON each."""
    trials = latest(lines)
    kinds = list(dict.fromkeys(trial["kind"] for trial in trials))
    text = TITLE.format(" | ".join(COLUMNS), "|---" * len(COLUMNS))
    for kind in [*sorted(kinds), "all"]:
        mine = [trial for trial in trials if kind in ("all", trial["kind"])]
        counts = Counter(trial["verdict"] for trial in mine)
        cells = [str(counts[column]) for column in COLUMNS]
        peak = max(trial["peak_bytes"] for trial in mine) >> 20
        text += f"| {kind} | {len(mine)} | {' | '.join(cells)} | {peak} |\n"
    bad = [trial for trial in trials if trial["verdict"] not in COLUMNS[:2]]
    for trial in bad:
        text += f"\n- {trial['verdict']}: {trial['kind']}, {trial['what']}, {trial['name']}"
    return text + "\n" * bool(bad)


if __name__ == "__main__":
    source, target = map(Path, sys.argv[1:])
    target.write_text(table(source.read_text().splitlines()))
