"""The tables of the study of tokens: what belongs together, and what is left unsaid."""

import numpy as np
import pandas as pd
import pytest

from helpers.tokens import BOTH, DEV, SKILLS, predictions, system, systems
from pipeline.evaluation.paired import Paired
from pipeline.experiments.token_study import has_tokens, study_tokens


@pytest.fixture(scope="module")
def said() -> pd.DataFrame:
    return predictions(SKILLS)


@pytest.fixture(scope="module")
def study(said):
    return study_tokens(said, systems(), DEV, cluster="speaker")


def test_codes_stand_beside_frames_of_the_same_layers(study, said) -> None:
    table = study.layers.set_index("codes")
    assert table["frames"].to_dict() == {"c1": "f1", "c2": "f2", "c12": "f12"}
    paired = Paired(said, cluster="speaker")
    for codes, row in table.iterrows():
        whole, less = (paired.score(name, "macro_f1").value for name in (row["frames"], codes))
        assert row["drop"] == pytest.approx(100 * (whole - less) / whole)
        assert row["difference"] == pytest.approx(less - whole)
        assert row["drop_low"] < row["drop"] < row["drop_high"]
        assert row["frames_macro_f1"] == whole


def test_names_play_no_part(said, study) -> None:
    new = {name: f"x{i}" for i, name in enumerate(reversed(SKILLS))}
    renamed = study_tokens(
        said.assign(system=said["system"].map(new)),
        systems().assign(system=systems()["system"].map(new)),
        {new[name]: value for name, value in DEV.items()},
        cluster="speaker",
    )
    for name, table in study.tables().items():
        other = renamed.tables()[name]
        columns = table.select_dtypes("number").columns
        pd.testing.assert_frame_equal(table[columns], other[columns])


def test_fusion_is_held_against_the_single_layer_that_dev_chooses(study, said) -> None:
    table = study.fusion.set_index("system")
    assert set(table["reference"]) == {"c2"}
    assert sorted(table.index) == sorted(["c2", "f2", "c12", "f12", "c12+", "c2+", "alone"])
    paired = Paired(said, cluster="speaker")
    values = {name: paired.score(name, "macro_f1").value for name in SKILLS}
    gap = values["f2"] - values["c2"]
    for name, row in table.iterrows():
        assert row["closed"] == pytest.approx((values[name] - values["c2"]) / gap)
        assert row["gap"] == pytest.approx(gap)
    assert table.loc["c2", ["difference", "difference_low", "difference_high"]].tolist() == [0] * 3
    assert table.loc["f2", ["closed", "closed_low", "closed_high"]].tolist() == [1] * 3
    other = study_tokens(said, systems(), {**DEV, "c1": 1.0}, cluster="speaker")
    assert set(other.fusion["reference"]) == {"c1"}


def test_without_dev_no_layer_is_chosen(said) -> None:
    known = {name: value for name, value in DEV.items() if name != "c1"}
    found = study_tokens(said, systems(), known, cluster="speaker")
    assert set(found.fusion["reference"]) == {""}
    assert found.fusion[["difference", "gap", "closed"]].isna().all(axis=None)
    assert found.fusion["macro_f1"].notna().all()


def test_a_gap_that_is_not_there_is_not_divided_by() -> None:
    skills = {"c1": 0.9, "f1": 0.6, "c12": 0.8}
    rows = [system("c1"), system("f1", input="frames", num_codes=np.nan), system("c12", **BOTH)]
    found = study_tokens(predictions(skills), pd.DataFrame(rows), skills, cluster="speaker")
    assert (found.fusion["gap"] < 0).all()
    assert found.fusion["closed"].isna().all()


def test_tokens_stand_beside_themselves_with_acoustics(study) -> None:
    table = study.codecs.set_index("alone")
    assert table["with_acoustics"].to_dict() == {"c2": "c2+", "c12": "c12+", "enc": "enc+"}
    assert table["family"].to_dict() == {"c2": "k-means", "c12": "k-means", "enc": "codec"}
    assert table.loc["enc", "bits_per_s"] == 1500


def test_attention_is_the_mean_of_its_columns_by_layer(said) -> None:
    share = np.where(said["system"] == "c12", 0.25, np.nan)
    told = said.assign(**{"attention.0": share, "attention.1": 1 - share})
    facts = systems().assign(layers=systems()["layers"].replace({"1 2": "22 23"}))
    found = study_tokens(told, facts, DEV, cluster="speaker").attention
    assert found["layer"].tolist() == ["22", "23"]
    assert found["attention"].tolist() == [0.25, 0.75]
    assert set(found["system"]) == {"c12"}


def test_a_study_is_of_systems_of_codes() -> None:
    assert has_tokens(systems())
    assert not has_tokens(systems()[systems()["input"] != "codes"])
