"""The numbers of slots from openSMILE's functionals in a store."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from helpers.commands import genser, refused
from helpers.describing import CLIPS_PER_SPEAKER, write_voices
from pipeline.descriptions.functionals import PLACES, SHIMMER_WEIGHT, stored_acoustics
from pipeline.descriptions.record import description_path, read_description
from pipeline.errors import FeatureStoreError
from pipeline.manifests.manifest import read_manifest

VIEW = (
    "extract.views={functionals: {kind: layers, encoder: 'opensmile:eGeMAPSv02', "
    "stored_dtype: float32}}"
)
RECIPE = {"source": "audio", "encoder": {"family": "opensmile", "feature_set": "eGeMAPSv02"}}


class Features:
    """Stands in for the functionals of three clips, of which the second has none."""

    def __init__(self, values: np.ndarray, recipe: dict[str, Any] = RECIPE) -> None:
        self.values = values
        self.recipes = {"functionals": recipe}
        self.manifest = SimpleNamespace(table=pd.DataFrame(index=range(3)))
        self.outcomes = pd.Series(["ok", "silent", "ok"])
        self.messages = pd.Series(["", "all samples are 0", ""])
        self.has_features = np.array([True, False, True])
        self.durations = pd.Series([2.0, np.nan, 4.0])

    def read(self, rows: np.ndarray, view: str) -> np.ndarray:
        return self.values[rows][:, None].astype(np.float32)


def test_each_number_is_that_of_its_functional() -> None:
    values = np.arange(3 * 88, dtype=float).reshape(3, 88)
    values[2, 82] = 0  # no voice
    found = stored_acoustics(Features(values), "functionals")  # type: ignore[arg-type]
    row = found.numbers.loc[0]
    assert row["pitch"] == 3
    assert row["variation"] == 5
    assert row["energy"] == 10
    assert row["dynamics"] == 15
    assert row["tone"] == 34 - SHIMMER_WEIGHT * 32
    assert row["peaks_per_s"] == 81
    assert row["voiced_s"] == 82 * 83 * 2.0
    assert found.numbers.loc[1].isna().all()
    assert found.numbers.loc[2].dropna().index.tolist() == ["energy", "dynamics", "peaks_per_s"]
    assert found.outcomes == ["ok", "silent", "ok"]
    assert found.messages[1] == "all samples are 0"


def test_the_places_are_those_of_the_names_in_opensmile() -> None:
    opensmile = pytest.importorskip("opensmile")
    smile = opensmile.Smile(
        feature_set=opensmile.FeatureSet.eGeMAPSv02,
        feature_level=opensmile.FeatureLevel.Functionals,
    )
    assert {name: smile.feature_names.index(name) for name in PLACES} == dict(PLACES)


@pytest.mark.parametrize(
    "recipe",
    [
        {"source": "table"},
        {"source": "audio", "encoder": {"family": "fbank"}},
        {"source": "audio", "encoder": {"family": "opensmile", "feature_set": "ComParE_2016"}},
    ],
)
def test_a_view_of_something_else_is_refused(recipe: dict[str, Any]) -> None:
    features: Any = Features(np.zeros((3, 88)), recipe)
    with pytest.raises(FeatureStoreError, match=r"view 'functionals': .* wanted openSMILE's eGeM"):
        stored_acoustics(features, "functionals")


def test_a_store_s_functionals_tell_what_the_recordings_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("opensmile")
    monkeypatch.chdir(write_voices(tmp_path).parent)
    (tmp_path / "audio" / "c" / "3.wav").unlink()
    extracted = genser(
        "-S", VIEW, "extract", "manifest.csv", "--audio-root", "audio", "--store", "store",
        "--max-failed", "0.5",
    )  # fmt: skip
    assert extracted.exit_code == 0, extracted.output
    result = genser("describe", "manifest.csv", "--store", "store", "--out", "out.csv")
    assert result.exit_code == 0, result.output
    assert "'c3': missing: " in result.stderr
    assert "1 missing, 29 ok; 29 described by self-made@" in result.stdout
    table = read_manifest(Path("out.csv")).table
    description = read_description(description_path(Path("out.csv")))
    levels = pd.DataFrame(description.levels(table), index=table["utterance_id"])
    assert set(levels) == {"pitch", "variation", "energy", "dynamics", "speed", "tone"}
    for slot in ("pitch", "energy"):
        mine = levels.loc[[f"a{i}" for i in range(CLIPS_PER_SPEAKER)], slot]
        assert mine.tolist() == sorted(mine)
        assert {0, 1, 2, 3, 4} == set(mine)
    line = refused(
        "describe", "manifest.csv", "--store", "store", "--view", "frames", "--out", "o.csv"
    )
    assert "frames" in line
