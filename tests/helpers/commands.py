"""The commands, and a folder in which the whole pipeline has run once."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from stages.cli import main

TINY = """
prepare:
  demo: {num_speakers: 6, clips_per_emotion: 1}
extract: {encoder: demo/encoder, rows_per_shard: 8}
train:
  num_steps: 20
  batch_size: 8
  eval_every: 5
  genser:
    trunk: {width: 16, num_blocks: 1, num_heads: 2}
  twin:
    trunk: {width: 16, num_blocks: 1, num_heads: 2}
"""


def genser(*words: object) -> Result:
    result = CliRunner().invoke(main, [str(w) for w in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def refused(*words: object) -> str:
    result = genser(*words)
    assert result.exit_code == 1, result.output
    return result.stderr


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A folder in which the whole pipeline has run once."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "params.yaml").write_text(TINY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for words in (
            "prepare demo demo -o demo.csv",
            "extract demo.csv --audio-root demo/audio --store store",
            "train demo.csv --store store --out head",
            "score demo.csv --store store --head head --out p.parquet",
            "report p.parquet --out report",
        ):
            result = genser(*words.split())
            assert result.exit_code == 0, result.output
    return folder


@pytest.fixture
def here(made, monkeypatch) -> Path:
    monkeypatch.chdir(made)
    return made


def write_manifest(path: Path, change) -> Path:
    table = pd.read_csv("demo.csv", dtype="str", keep_default_na=False)
    change(table).to_csv(path, index=False)
    return path
