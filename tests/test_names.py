import string
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from helpers.commands import genser, refused, write_manifest
from pipeline.errors import ParamsError
from pipeline.names import MOST_BYTES, is_name, require_names, require_view_name

TEXTS = st.text() | st.text(alphabet=string.ascii_letters + string.digits + "./\\ +-_()~$é*\0\n")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS)
def test_a_name_stays_in_its_folder_and_others_are_refused(tmp_path: Path, text: str) -> None:
    if is_name(text):
        require_names("here", [text])
        made = tmp_path / f"reliability_{text}.png"
        made.write_bytes(b"")
        assert made in tmp_path.iterdir()
        made.unlink()
        (tmp_path / text).mkdir()
        assert (tmp_path / text).resolve().parent == tmp_path.resolve()
        (tmp_path / text).rmdir()
    else:
        with pytest.raises(ParamsError, match=r"^here: "):
            require_names("here", [text])
        with pytest.raises(ParamsError, match=r"^here: "):
            require_view_name("here", text)


@pytest.mark.parametrize("text", ["", ".", "..", ".hidden", "a/b", "/a", "a\\b", "a\0", " a", "a "])
def test_what_is_no_name_is_shown(text: str) -> None:
    with pytest.raises(ParamsError) as caught:
        require_names("here", ["fine", text])
    assert str(caught.value).startswith(f"here: {text!r} cannot name a file; use letters, digits, ")


def test_a_name_has_a_longest_length_in_bytes_and_is_shown_shortened() -> None:
    assert is_name("é" * (MOST_BYTES // 2))
    assert not is_name("é" * (MOST_BYTES // 2 + 1))
    with pytest.raises(ParamsError) as caught:
        require_names("here", ["x" * 100_000])
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["1", "leave one-out", "CREMA-D (video)", "e1.5", "+text", "日本"])
def test_what_people_call_things_is_a_name(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("fold", ["/tmp/genser_outside", "../../outside", "", ".."])
def test_a_fold_column_writes_nothing_outside(here, tmp_path: Path, fold: str) -> None:
    manifest = write_manifest(
        tmp_path / "m.csv", lambda t: t.assign(**{f"split.{fold}": t["split"]})
    )
    out = tmp_path / "a" / "b"
    words = ["crossval", manifest, "--store", "store", "--heads", "linear", "--out", out]
    assert f"columns split.FOLD: {fold!r} cannot name a file" in refused(*words)
    assert sorted(tmp_path.rglob("*")) == [manifest]


def test_a_corpus_of_a_cross_corpus_run_writes_nothing_outside(here, tmp_path: Path) -> None:
    def two(table: pd.DataFrame) -> pd.DataFrame:
        first = table["speaker"].isin(sorted(set(table["speaker"]))[::2])
        return table.assign(corpus=first.map({True: "x/../../../one", False: "two"}))

    manifest = write_manifest(tmp_path / "m.csv", two)
    words = ["crossval", manifest, "--store", "store", "--heads", "linear"]
    said = refused(*words, "--protocol", "cross-corpus", "--out", tmp_path / "a" / "b")
    assert "column corpus: 'x/../../../one' cannot name a file" in said
    assert sorted(tmp_path.rglob("*")) == [manifest]


def test_foreign_predictions_write_nothing_outside(here, tmp_path: Path) -> None:
    words = ["report", "p.parquet", "--with", "../../x=p.parquet", "--out", tmp_path / "a" / "b"]
    assert "--with: '../../x' cannot name a file" in refused(*words)
    assert not list(tmp_path.rglob("*"))


def test_predictions_are_called_by_a_name(here, tmp_path: Path) -> None:
    strange = tmp_path / ".hidden$.parquet"
    strange.write_bytes(Path("p.parquet").read_bytes())
    said = refused("report", strange, "--out", tmp_path / "r")
    assert "PREDICTIONS: '.hidden$' cannot name a file" in said


def test_a_label_column_reads_no_label_map_elsewhere(here, tmp_path: Path) -> None:
    folder = tmp_path / "manifests"
    (folder / "label_maps").mkdir(parents=True)
    (tmp_path / "secret.yaml").write_text("password: hunter2\n")
    manifest = write_manifest(folder / "m.csv", lambda t: t.assign(**{"../../secret": t["split"]}))
    result = genser("validate", manifest)
    assert result.exit_code == 0, result.output
    assert "password" not in result.output
