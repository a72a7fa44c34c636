"""Editions through the commands: extract --replace, score, inspect and verify."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from stages.cli import main

PARAMS = """
prepare:
  demo: {num_speakers: 6, clips_per_emotion: 1}
extract: {encoder: demo/encoder}
train:
  num_steps: 5
  eval_every: 5
  head: linear
"""
EXTRACT = "extract demo.csv --audio-root demo/audio --store store"
OTHER = "-S extract.compute_dtype=bfloat16"


def genser(line: str) -> Result:
    result = CliRunner().invoke(main, line.split())
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store, a head trained on it, and the store's view replaced since."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "params.yaml").write_text(PARAMS)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for line in (
            "prepare demo demo -o demo.csv",
            EXTRACT,
            "train demo.csv --store store --out head",
            f"{OTHER} {EXTRACT} --replace",
        ):
            result = genser(line)
            assert result.exit_code == 0, result.output
    assert "kept beside: layers (" in result.output
    return folder


@pytest.fixture(autouse=True)
def _there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)


def test_a_head_of_the_old_edition_is_refused_by_the_differing_field() -> None:
    result = genser("score demo.csv --store store --head head --out p.parquet")
    assert result.exit_code == 1
    assert "compute_dtype is 'bfloat16', wanted 'float32'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_the_plain_command_refuses_by_field_and_names_the_cure() -> None:
    result = genser(EXTRACT)
    assert result.exit_code == 1
    assert "compute_dtype is 'bfloat16', wanted 'float32'; give --replace" in result.stderr


def test_inspect_shows_what_is_kept_and_how_it_differs() -> None:
    view = json.loads(genser("inspect store --json").stdout)["views"]["layers"]
    assert view["recipe"]["compute_dtype"] == "bfloat16"
    kept = view["kept"]["layers"]
    assert kept["differs"] == ["compute_dtype is 'float32', wanted 'bfloat16'"]
    assert kept["clips"] == sum(view["outcomes"].values())
    assert "compute_dtype is 'float32'" in genser("inspect store").stdout


def test_verify_finds_a_flipped_byte_in_a_kept_edition_and_mends_it(folder: Path) -> None:
    shard = folder / "store/views/layers/shards/000000.h5"
    data = shard.read_bytes()
    shard.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    result = genser("verify store")
    assert result.exit_code == 1
    assert f"{Path('store/views/layers/shards/000000.h5')}: damaged" in result.stderr
    assert "store: 0 of 30 clips are affected." in result.stderr
    assert genser("verify store --repair").exit_code == 0
    # What the repair dropped is made again when its edition is asked for, to the same bytes.
    assert genser(f"{EXTRACT} --replace").exit_code == 0
    assert shard.read_bytes() == data
    assert genser("score demo.csv --store store --head head --out p.parquet").exit_code == 0
    assert genser(f"{EXTRACT} --prune").exit_code == 0
    assert [path.name for path in (folder / "store/views").iterdir()] == ["layers"]
