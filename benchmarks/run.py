"""Run every benchmark, one after another, and write what they print.

python benchmarks/run.py --out benchmarks/RESULTS.md
"""

import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import click
import torch
from bench.precision import PRECISIONS

HERE = Path(__file__).parent
SCRIPTS = (
    "imports.py",
    "start.py",
    "store.py",
    "score.py",
    "step.py",
    "bootstrap.py",
    "crossval.py",
    "kmeans.py",
)


def machine() -> str:
    """Return what it all ran on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.processor()
    lacks = "" if "bfloat16" in PRECISIONS else ", without instructions for bfloat16"
    cores = f"{os.cpu_count()} cores{lacks}"
    return f"{name}, {cores}; torch {torch.__version__}, {platform.system()}"


def printed(*words: str) -> str:
    """Return what a script of this folder prints, or the last line of why it does not."""
    done = subprocess.run(
        [sys.executable, str(HERE / words[0]), *words[1:]], capture_output=True, text=True
    )
    if done.returncode:
        return "not measured: " + (done.stderr.strip().splitlines() or ["it failed"])[-1]
    return done.stdout.rstrip()


@click.command()
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path))
def main(out: Path) -> None:
    """Write all results to a page."""
    page = [
        f"# Speed\n\n{machine()}. By `make bench`; what the rows mean stands in each script, what "
        "falls short and what was tried and not kept in [NOTES.md](NOTES.md). GPU: not measured.\n"
    ]
    with tempfile.TemporaryDirectory() as folder:
        printed("seeded_encoder.py", folder, "--size", "large")
        for words in (*((name,) for name in SCRIPTS), ("encode.py", "--encoder", folder)):
            print(words[0], flush=True)
            page.append(f"## {words[0]}\n\n```\n{printed(*words)}\n```\n")
    out.write_text("\n".join(page))


if __name__ == "__main__":
    main()
