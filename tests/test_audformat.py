"""audformat's own library writes what is read here."""

from pathlib import Path

import audformat
import pandas as pd
import pytest

from pipeline.corpora.audformat import read_audformat
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import ManifestError

FILES = ["audio/a.wav", "audio/b.wav", "audio/c.wav"]


@pytest.fixture
def database() -> audformat.Database:
    """A database with whole files, two parts of segments, and a table that has no files."""
    db = audformat.Database("mine")
    for scheme in ("emotion", "speaker"):
        db.schemes[scheme] = audformat.Scheme("str")
    db["files"] = audformat.Table(audformat.filewise_index(FILES))
    db["files"]["speaker"] = audformat.Column(scheme_id="speaker")
    db["files"]["speaker"].set(["anna", "bob", "anna"])
    for name, index, labels in (
        (
            "emotion.train",
            ([FILES[0], FILES[0]], ["0s", "1.5s"], ["1.5s", pd.NaT]),
            ["sad", "glad"],
        ),
        ("emotion.test", ([FILES[1]], ["250ms"], ["2s"]), ["sad"]),
    ):
        db[name] = audformat.Table(audformat.segmented_index(*index))
        db[name]["emotion"] = audformat.Column(scheme_id="emotion")
        db[name]["emotion"].set(labels)
    db["speakers"] = audformat.MiscTable(pd.Index(["anna", "bob"], name="speaker"))
    return db


def test_absolute_files_are_told_below_the_folder_that_all_are_in(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "file": [f"/data/mine/{name}" for name in FILES],
            "emotion": "sad",
            "speaker": ["anna", "bob", "cleo"],
        }
    )
    table.to_csv(tmp_path / "mine.csv", index=False)
    source = Source(name="audformat", path=tmp_path / "mine.csv")
    found = prepare_corpus(source, PrepareConfig())
    assert found.table["path"].tolist() == ["a.wav", "b.wav", "c.wav"]
    assert found.table["utterance_id"].tolist() == ["a", "b", "c"]
    note = "paths are relative to /data/mine/audio: give --audio-root /data/mine/audio"
    assert note in found.notes
    table.assign(file=["/a.wav", "b.wav", "c.wav"]).to_csv(tmp_path / "mine.csv", index=False)
    with pytest.raises(ManifestError, match=r"mine.csv: has absolute paths, and 'b.wav', which"):
        prepare_corpus(source, PrepareConfig())


@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_the_tables_of_a_database_are_put_together(
    tmp_path: Path, database: audformat.Database, storage: str
) -> None:
    database.save(tmp_path / "mine", storage_format=storage)
    source = Source(name="audformat", path=tmp_path / "mine")
    table = prepare_corpus(source, PrepareConfig()).table.sort_values("utterance_id")
    columns = ["utterance_id", "path", "start", "split", "emotion", "speaker", "corpus"]
    assert list(table[columns].itertuples(index=False, name=None)) == [
        ("audio/a@0.0", "audio/a.wav", 0.0, "train", "sad", "anna", "mine"),
        ("audio/a@1.5", "audio/a.wav", 1.5, "train", "glad", "anna", "mine"),
        ("audio/b@0.25", "audio/b.wav", 0.25, "test", "sad", "bob", "mine"),
    ]
    assert table["end"].fillna(-1).tolist() == [1.5, -1, 2.0]


def test_one_table_is_read_alone(tmp_path: Path, database: audformat.Database) -> None:
    database.save(tmp_path, storage_format="csv")
    table = read_audformat(tmp_path / "db.files.csv")
    assert table["utterance_id"].tolist() == ["audio/a", "audio/b", "audio/c"]
    assert table["speaker"].tolist() == ["anna", "bob", "anna"]


def test_bare_numbers_are_seconds_and_a_word_is_no_time(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("file,start,end\na.wav,0.5,2\n")
    assert read_audformat(path)[["start", "end"]].values.tolist() == [["0.5", "2.0"]]
    path.write_text("file,start,end\na.wav,0.5,2\nb.wav,soon,2\n")
    with pytest.raises(ManifestError, match=r"t\.csv: row 3: start 'soon' is no time"):
        read_audformat(path)


def test_two_tables_that_differ_are_refused(tmp_path: Path) -> None:
    (tmp_path / "db.yaml").write_text("name: x\n")
    (tmp_path / "db.one.csv").write_text("file,emotion\na.wav,sad\n")
    (tmp_path / "db.two.csv").write_text("file,emotion\na.wav,glad\n")
    with pytest.raises(
        ManifestError, match=r"emotion of \['a.wav'\] is 'sad' in one table and 'gl"
    ):
        read_audformat(tmp_path)
    (tmp_path / "db.two.csv").write_text("file,emotion\na.wav,sad\na.wav,sad\n")
    with pytest.raises(ManifestError, match=r"a table has \['a.wav'\] twice"):
        read_audformat(tmp_path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"holds no db.yaml with tables"):
        read_audformat(tmp_path)
    (tmp_path / "t.csv").write_text("path,emotion\na.wav,sad\n")
    with pytest.raises(ManifestError, match="has no column 'file'"):
        read_audformat(tmp_path / "t.csv")
