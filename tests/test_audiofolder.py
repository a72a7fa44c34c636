"""Recordings with a metadata.csv become manifests."""

from pathlib import Path

import pytest

from pipeline.corpora.audiofolder import read_audiofolder
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import ManifestError, ParamsError


def write(path: Path, content: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, "utf-8")


def test_a_table_in_each_part_tells_split_and_labels(tmp_path: Path) -> None:
    write(tmp_path / "train/metadata.csv", "file_name,label\na/x.wav,sad\n")
    write(tmp_path / "Validation/metadata.jsonl", '{"file_name": "y.wav", "label": "glad"}\n')
    source = Source(name="audiofolder", path=tmp_path, corpus="mine", renames=["label=emotion"])
    table = prepare_corpus(source, PrepareConfig()).table
    columns = ["utterance_id", "path", "split", "emotion", "corpus"]
    assert sorted(table[columns].itertuples(index=False, name=None)) == [
        ("Validation/y", "Validation/y.wav", "dev", "glad", "mine"),
        ("train/a/x", "train/a/x.wav", "train", "sad", "mine"),
    ]


def test_one_table_at_the_top_tells_all(tmp_path: Path) -> None:
    write(tmp_path / "metadata.csv", "file_name,utterance_id,split\ntest/a.wav,A,train\nb.wav,B,\n")
    table = read_audiofolder(tmp_path)
    assert table["utterance_id"].tolist() == ["A", "B"]
    assert table["split"].tolist() == ["train", ""]
    assert table["path"].tolist() == ["test/a.wav", "b.wav"]


def test_what_lacks_is_said(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"holds no metadata\.csv"):
        read_audiofolder(tmp_path)
    write(tmp_path / "metadata.csv", "file,label\na.wav,sad\n")
    with pytest.raises(ManifestError, match=r"has no column 'file_name', only \['file', 'label'\]"):
        read_audiofolder(tmp_path)
    write(tmp_path / "metadata.csv", "file_name,label\na.wav,sad\n")
    source = Source(name="audiofolder", path=tmp_path, renames=["label"])
    with pytest.raises(ParamsError, match="--map label: wanted THEIRS=OURS"):
        prepare_corpus(source, PrepareConfig())


def test_a_path_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "metadata.csv", "file_name\n../../a.wav\n")
    with pytest.raises(ManifestError, match=r"\.\./\.\./a\.wav"):
        prepare_corpus(Source(name="audiofolder", path=tmp_path), PrepareConfig())
