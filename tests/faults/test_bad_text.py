"""Mutated manifests, parameters, label maps, grammars, trials and JSON: a line, or a result."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from faults.launcher import Launcher
from faults.mutations import VALUES, mutated, other, written
from faults.scenes import World
from faults.verdicts import Trials, judge
from pipeline import descriptions
from pipeline.files import sealed_json, sha256_bytes, unseal_json

ENGLISH = Path(descriptions.__path__[0]) / "english.yaml"

Make = Callable[[Path, np.random.Generator], None]
MANIFEST_READERS = (
    "validate {}",
    "audit {} --out audited",
    "split {} --folds 2 -o split.csv",
    "merge {} -o merged.csv",
    "train {} --store store --out new --dry-run",
    "score {} --store store --head head --out q.parquet",
)
STORE_READERS = (
    "inspect store",
    "verify store",
    "score demo.csv --store store --head head --out q.parquet",
)
TRIALS = """
wide: {train.linear.input: last, train.num_steps: 2}
"{k} steps": {each: {k: [2, 3]}, train.num_steps: "{k}"}
"""
LABEL_MAP = """
classes: [bad, good]
map: {angry: bad, sad: bad, fearful: bad, happy: good}
drop: [neutral]
"""


def put(path: Path, data: bytes) -> None:
    """Write a file; its other copies stay as they are."""
    path.unlink(missing_ok=True)
    path.write_bytes(data)


def rows(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def csv(folder: Path, generator: np.random.Generator) -> None:
    put(folder / "m.csv", mutated((folder / "demo.csv").read_text(), generator))


def jsonl(folder: Path, generator: np.random.Generator) -> None:
    lines = rows(folder / "demo.csv").to_dict("records")
    if generator.integers(2):
        put(folder / "m.jsonl", mutated("\n".join(map(json.dumps, lines)), generator))
    else:
        data = b"\n".join(map(written, other(lines, generator)))
        put(folder / "m.jsonl", data)


def parquet(folder: Path, generator: np.random.Generator) -> None:
    table = pa.Table.from_pandas(rows(folder / "demo.csv"), preserve_index=False)
    for _ in range(int(generator.integers(1, 3))):
        column = int(generator.integers(table.num_columns))
        values = COLUMNS[int(generator.integers(len(COLUMNS)))]
        table = table.set_column(
            column, table.column_names[column], pa.array(values * table.num_rows)
        )
    if generator.integers(4) == 0:
        names = list(table.column_names)
        names[int(generator.integers(len(names)))] = names[0]
        table = table.rename_columns(names)
    (folder / "m.parquet").unlink(missing_ok=True)
    pq.write_table(table, folder / "m.parquet")


# What each row of a column may be.
COLUMNS = tuple(
    [value]
    for value in (
        *(v for v in VALUES if isinstance(v, str) and "\ud800" not in v),
        None,
        True,
        0,
        -1,
        2**62,
        float("nan"),
        1e308,
        b"\xff\xfe",
        [],
        ["a"],
        {"a": 1},
        pd.Timestamp(0),
    )
)


def params(folder: Path, generator: np.random.Generator) -> None:
    put(folder / "bad.yaml", mutated((folder / "params.yaml").read_text(), generator))


def label_map(folder: Path, generator: np.random.Generator) -> None:
    put(folder / "map.yaml", mutated(LABEL_MAP, generator))


def trials_file(folder: Path, generator: np.random.Generator) -> None:
    put(folder / "trials.yaml", mutated(TRIALS, generator))


def grammar(folder: Path, generator: np.random.Generator) -> None:
    put(folder / "grammar.yaml", mutated(ENGLISH.read_text(), generator))


def sealed(path: Path, generator: np.random.Generator) -> None:
    """Change what a file says, and seal it again."""
    value = unseal_json(path.read_bytes())
    assert value is not None
    changed = other(value, generator)
    try:
        put(path, sealed_json(changed))
    except ValueError:  # what no seal can be of
        put(path, written({**changed, "sha256": value.get("sha256", "")}))


def store_json(folder: Path, generator: np.random.Generator) -> None:
    sealed(folder / "store" / "store.json", generator)


def head_json(folder: Path, generator: np.random.Generator) -> None:
    sealed(folder / "head" / "head.json", generator)


def recipe(folder: Path, generator: np.random.Generator) -> None:
    """Change a recipe, and the contents that name its digest."""
    name = "views/layers/recipe.json"
    data = written(other(json.loads((folder / "store" / name).read_text()), generator))
    put(folder / "store" / name, data)
    contents = unseal_json((folder / "store" / "store.json").read_bytes())
    assert contents is not None
    contents["files"][name] = sha256_bytes(data)
    put(folder / "store" / "store.json", sealed_json(contents))


@dataclass(frozen=True, kw_only=True)
class Text:
    """A kind of text.

    Attributes:
        make: Puts a bad one into a folder.
        readers: The commands that read it; a trial takes one of them.
        before: What runs first, once.
        long: How many trials a long run has.
    """

    make: Make
    readers: tuple[str, ...]
    before: str = ""
    long: int = 200


KINDS = {
    "manifest.csv": Text(make=csv, readers=tuple(r.format("m.csv") for r in MANIFEST_READERS)),
    "manifest.jsonl": Text(
        make=jsonl, readers=tuple(r.format("m.jsonl") for r in MANIFEST_READERS)
    ),
    "manifest.parquet": Text(
        make=parquet, readers=tuple(r.format("m.parquet") for r in MANIFEST_READERS)
    ),
    "params": Text(
        make=params,
        readers=(
            "inspect bad.yaml",
            "--params bad.yaml extract demo.csv --audio-root demo/audio --store other --dry-run",
            "--params bad.yaml train demo.csv --store store --out new --dry-run",
        ),
    ),
    "label map": Text(
        make=label_map,
        readers=("train demo.csv --store store --out new --dry-run --label-map map.yaml",),
    ),
    "trials": Text(
        make=trials_file,
        readers=(
            "crossval demo.csv --store store --heads linear --variant trials.yaml --folds 2 "
            "--out new",
        ),
        long=100,
    ),
    "grammar": Text(
        make=grammar,
        readers=(
            "-S describe.grammar=grammar.yaml describe demo.csv --audio-root demo/audio "
            "--out described.csv",
        ),
        before="describe demo.csv --audio-root demo/audio --out described.csv",
    ),
    "store.json": Text(make=store_json, readers=STORE_READERS, long=300),
    "head.json": Text(
        make=head_json,
        readers=("inspect head", STORE_READERS[-1]),
        long=300,
    ),
    "recipe": Text(make=recipe, readers=STORE_READERS),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_text_is_told_in_one_line_or_has_a_result(
    world: World, launcher: Launcher, kind: str, tmp_path: Path
) -> None:
    text = KINDS[kind]
    with Trials("bad text", kind) as trials:
        first = world.whole
        if text.before:
            with world.folder(world.whole) as folder:
                assert launcher.run(text.before.split(), folder).code == 0
                first = Path(folder.rename(tmp_path / "first"))
        for number, generator in trials.numbers(short=2, long=text.long):
            reader = text.readers[int(generator.integers(len(text.readers)))]
            with world.folder(first) as folder:
                text.make(folder, generator)
                run = launcher.run(reader.split(), folder)
            trials.add(f"{number}: {reader}", judge([run], is_right=None), [run])
