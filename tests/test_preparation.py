from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import ParamsError
from pipeline.manifests.leaks import find_leaks
from pipeline.manifests.manifest import read_manifest, write_manifest

MakeWav = Callable[..., Path]


def test_preparing_fills_the_split_and_the_manifest_can_be_read(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    folder = tmp_path / "ravdess"
    names = [f"Actor_{a:02d}/03-01-05-01-01-01-{a:02d}.wav" for a in range(1, 13)]
    for name in names:
        make_wav(folder / name, 0.05)
    (folder / names[4]).write_bytes(b"damaged on the way")
    corpus = prepare_corpus(Source(name="ravdess", path=folder), PrepareConfig())
    for _, group in corpus.table.groupby("gender"):
        assert group["split"].value_counts().to_dict() == {"train": 3, "test": 2, "dev": 1}
    write_manifest(tmp_path / "m.csv", corpus.table)
    read = read_manifest(tmp_path / "m.csv")
    assert not find_leaks(read.table)
    assert read.tasks == ["emotion", "gender", "intensity"]
    assert read.table["num_samples"].tolist() == [800] * 4 + [-1] + [800] * 7
    pd.testing.assert_series_equal(read.table["split"], corpus.table["split"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dev_fraction": 0.0}, "prepare.dev_fraction: 0.0 is not between 0 and 1."),
        ({"test_fraction": 1.0}, "prepare.test_fraction: 1.0 is not between 0 and 1."),
        (
            {"dev_fraction": 0.5, "test_fraction": 0.5},
            "prepare: dev_fraction and test_fraction leave nothing to train on.",
        ),
    ],
)
def test_parts_that_cannot_be_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ParamsError) as error:
        PrepareConfig(**settings)
    assert str(error.value) == message
