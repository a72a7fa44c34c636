"""Kaldi's data folders become manifests."""

from pathlib import Path

import pytest

from pipeline.corpora.kaldi import read_kaldi
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import ManifestError

PLAIN = {
    "wav.scp": "rec1 wav/one.wav\nrec2\twav/two words.wav\n",
    "utt2spk": "rec1 anna\nrec2 bob\n",
    "utt2emo": "rec1 angry\nrec2 sad\n",
    "utt2arousal": "rec1 high\n",
    "utt2dur": "rec1 1.5\nrec2 2\n",
    "text": "rec1 go away  now\n",
    "spk2gender": "anna f\nbob m\n",
}


def folder_of(path: Path, files: dict[str, str]) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (path / name).write_text(content, "utf-8")
    return path


def test_every_file_of_a_folder_is_a_column(tmp_path: Path) -> None:
    table = read_kaldi(folder_of(tmp_path / "data", PLAIN)).table
    columns = ["utterance_id", "path", "speaker", "emotion", "arousal", "text", "gender", "corpus"]
    assert table[columns].to_dict("records") == [
        dict(zip(columns, row, strict=True))
        for row in (
            ("rec1", "wav/one.wav", "anna", "angry", "high", "go away  now", "female", "data"),
            ("rec2", "wav/two words.wav", "bob", "sad", "", "", "male", "data"),
        )
    ]
    assert "dur" not in table


def test_segments_are_the_utterances_where_there_are_some(tmp_path: Path) -> None:
    files = {
        "wav.scp": "rec1 a.wav\n",
        "segments": "u1 rec1 0.5 2.25\nu2 rec1 2.25 -1\n",
        "utt2spk": "u1 x\nu2 y\n",
    }
    table = read_kaldi(folder_of(tmp_path / "d", files)).table
    assert table["utterance_id"].tolist() == ["u1", "u2"]
    assert table["start"].tolist() == [0.5, 2.25]
    assert table["end"].isna().tolist() == [False, True]
    assert table["path"].tolist() == ["a.wav", "a.wav"]


def test_folders_of_parts_are_one_corpus_whose_split_stays(tmp_path: Path) -> None:
    for name in ("train", "dev", "test"):
        folder_of(tmp_path / "data" / name, {"wav.scp": f"{name}-1 /audio/{name}/x.wav\n"})
    corpus = prepare_corpus(Source(name="kaldi", path=tmp_path / "data"), PrepareConfig())
    assert dict(zip(corpus.table["path"], corpus.table["split"], strict=True)) == {
        "train/x.wav": "train",
        "dev/x.wav": "dev",
        "test/x.wav": "test",
    }
    assert corpus.notes == ["paths are relative to /audio: give --audio-root /audio"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "holds no wav.scp, nor folders train, dev, test with one; name a Kaldi data folder."),
        (
            {"wav.scp": "a sph2pipe -f wav a.sph |\n"},
            "wav.scp: a is the command 'sph2pipe -f wav a.sph |', wanted a file: commands are not "
            "run; write its output to a file and name that.",
        ),
        ({"wav.scp": "a x.wav\na y.wav\n"}, "wav.scp:2: names a a second time; keep one line."),
        ({"wav.scp": "a x.wav\nb /y.wav\n"}, "has absolute paths, and 'x.wav', which is none"),
        ({"wav.scp": "a x.wav\n", "segments": "u b 0 1\n"}, "segments: u is 'b 0 1', wanted a"),
        ({"wav.scp": "a x.wav\n", "segments": "u a 2 1\n"}, "end"),
    ],
)
def test_what_is_none_is_refused_by_its_line(
    tmp_path: Path, files: dict[str, str], message: str
) -> None:
    with pytest.raises(ManifestError) as error:
        read_kaldi(folder_of(tmp_path / "d", files))
    assert message in str(error.value)
