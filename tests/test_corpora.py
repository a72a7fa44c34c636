from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from pipeline.corpora.folders import find_recordings, read_headers
from pipeline.corpora.nemo import read_nemo
from pipeline.corpora.preparation import PrepareConfig, prepare_corpus
from pipeline.corpora.ravdess import read_ravdess
from pipeline.errors import ManifestError, ParamsError
from pipeline.manifests import read_manifest, write_manifest
from pipeline.splits import find_leaks

MakeWav = Callable[..., Path]

NEMO_HEADER = "file_id\temotion\traw_text\tnormalized_text\tspeaker_id\tgender\tage\n"
NEMO_ROWS = [
    ("WR0_surprised_64", "surprised", 'Powiedział: "Ucho".', "WR0", "male", "23"),
    ("EB0_neutral_13", "neutral", "Interesuje mnie historia Polski.", "EB0", "female", "27"),
    ("KD0_happiness_79", "happiness", "Gdzie są moje okulary?", "KD0", "female", "24"),
]


def make_nemo(folder: Path, make_wav: MakeWav, listed: str = ".wav", kept: str = ".flac") -> Path:
    lines = [
        f"{name}{listed}\t{emotion}\t{text}\t{text.lower()}\t{speaker}\t{gender}\t{age}\n"
        for name, emotion, text, speaker, gender, age in NEMO_ROWS
    ]
    for name, *_ in NEMO_ROWS:
        make_wav(folder / "samples" / f"{name}{kept}", 0.05)
    (folder / "data.tsv").write_text(NEMO_HEADER + "".join(lines), encoding="utf-8")
    return folder


def make_ravdess(folder: Path, make_wav: MakeWav, names: list[str]) -> Path:
    for name in names:
        make_wav(folder / name, 0.05)
    return folder


def all_of_ravdess() -> list[str]:
    """Every name: 24 actors, 8 emotions, neutral only at normal intensity."""
    return [
        f"03-01-{emotion:02d}-{intensity:02d}-{statement:02d}-{repetition:02d}-{actor:02d}"
        for actor in range(1, 25)
        for emotion in range(1, 9)
        for intensity in ((1,) if emotion == 1 else (1, 2))
        for statement in (1, 2)
        for repetition in (1, 2)
    ]


def test_a_ravdess_name_becomes_a_row(tmp_path: Path, make_wav: MakeWav) -> None:
    folder = make_ravdess(tmp_path, make_wav, ["Actor_12/03-01-06-01-02-01-12.wav"])
    row = read_ravdess(folder).table.iloc[0].to_dict()
    assert row == {
        "utterance_id": "03-01-06-01-02-01-12",
        "path": "Actor_12/03-01-06-01-02-01-12.wav",
        "corpus": "ravdess",
        "speaker": "actor_12",
        "emotion": "fearful",
        "gender": "female",
        "intensity": "normal",
        "language": "en",
        "text": "Dogs are sitting by the door",
        "num_samples": 800,
        "sample_rate": 16000,
    }


def test_ravdess_is_found_however_it_is_kept(tmp_path: Path, make_wav: MakeWav) -> None:
    names = [
        "03-01-01-01-01-01-01.wav",
        "Actor_02/03-01-08-02-01-02-02.flac",
        "deep/er/Actor_03/03-01-03-02-01-02-03.WAV",
    ]
    table = read_ravdess(make_ravdess(tmp_path, make_wav, names)).table
    assert table["path"].tolist() == [names[0], names[2], names[1]]
    assert table["speaker"].tolist() == ["actor_01", "actor_03", "actor_02"]
    assert table["gender"].tolist() == ["male", "male", "female"]
    assert table["emotion"].tolist() == ["neutral", "happy", "surprised"]
    assert table["intensity"].tolist() == ["normal", "strong", "strong"]


def test_songs_videos_and_strangers_are_passed_over(tmp_path: Path, make_wav: MakeWav) -> None:
    names = [
        "03-02-02-01-01-01-01.wav",  # a song
        "01-01-02-01-01-01-01.wav",  # sound of a video
        "._03-01-02-01-01-01-01.wav",  # left by a Mac
        "03-01-09-01-01-01-01.wav",  # no such emotion
        "note.wav",
        "03-01-02-01-01-01-01.wav",
    ]
    folder = make_ravdess(tmp_path, make_wav, names)
    (folder / "03-01-02-01-01-02-01.txt").write_text("no recording")
    assert read_ravdess(folder).table["utterance_id"].tolist() == ["03-01-02-01-01-01-01"]


def test_all_1440_clips_of_ravdess_need_no_note(tmp_path: Path) -> None:
    for name in all_of_ravdess():
        (tmp_path / f"{name}.wav").touch()
    corpus = read_ravdess(tmp_path)
    assert len(corpus.table) == 1440
    assert corpus.notes == []


def test_missing_and_extra_clips_of_ravdess_are_told(tmp_path: Path) -> None:
    names = all_of_ravdess()
    for name in [*names[5:], "03-01-01-02-01-01-01"]:
        (tmp_path / f"{name}.wav").touch()
    missing, extra = read_ravdess(tmp_path).notes
    assert missing == f"5 of 1440 clips missing: {', '.join(names[:3])}, ..."
    assert extra == "1 of 1440 clips extra: 03-01-01-02-01-01-01"


def test_a_corpus_that_was_unpacked_twice_counts_once(tmp_path: Path, make_wav: MakeWav) -> None:
    name = "03-01-02-01-01-01-01.wav"
    folder = make_ravdess(tmp_path, make_wav, [f"Actor_01/{name}", f"audio/Actor_01/{name}"])
    corpus = read_ravdess(folder)
    assert corpus.table["path"].tolist() == [f"Actor_01/{name}"]
    assert corpus.notes[-1] == (
        f"1 recordings are there again and passed over: {folder / 'audio/Actor_01' / name} "
        f"repeats {folder / 'Actor_01' / name}"
    )


def test_nemo_is_read_though_the_table_says_wav_and_the_disk_holds_flac(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    corpus = read_nemo(make_nemo(tmp_path, make_wav))
    table = corpus.table
    assert table["utterance_id"].tolist() == sorted(row[0] for row in NEMO_ROWS)
    assert table["path"].tolist() == [f"samples/{name}.flac" for name in table["utterance_id"]]
    assert table["speaker"].tolist() == ["EB0", "KD0", "WR0"]
    assert table["emotion"].tolist() == ["neutral", "happiness", "surprised"]
    assert table["gender"].tolist() == ["female", "female", "male"]
    assert table["age"].tolist() == ["27", "24", "23"]
    assert table["text"].tolist()[2] == 'Powiedział: "Ucho".'
    assert table["num_samples"].tolist() == [800] * 3
    assert corpus.notes == ["data.tsv names 3 clips, nEMO has 4481"]


def test_missing_and_extra_clips_of_nemo_are_told(tmp_path: Path, make_wav: MakeWav) -> None:
    folder = make_nemo(tmp_path, make_wav)
    (folder / "samples" / "KD0_happiness_79.flac").rename(folder / "samples" / "XX0_sad_1.flac")
    corpus = read_nemo(folder)
    assert len(corpus.table) == 2
    assert corpus.notes[:2] == [
        "1 of 3 clips in data.tsv missing: KD0_happiness_79",
        "1 of 3 clips in data.tsv extra: XX0_sad_1",
    ]


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (None, r"data\.tsv: no such file; name the folder that nEMO unpacks to"),
        (b"file_id\temotion\n", r"data\.tsv: has no column 'raw_text'; fetch nEMO again"),
        (b"", r"data\.tsv: not readable \(No columns"),
        ("file_id\nł\n".encode("latin2"), r"data\.tsv: not readable \('utf-8' codec"),
    ],
)
def test_a_bad_table_of_nemo_is_refused(
    tmp_path: Path, contents: bytes | None, message: str
) -> None:
    if contents is not None:
        (tmp_path / "data.tsv").write_bytes(contents)
    with pytest.raises(ManifestError, match=message):
        read_nemo(tmp_path)


def test_a_folder_that_is_not_there_or_empty_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="none: no such folder; name the folder of the corpus"):
        find_recordings(tmp_path / "none")
    (tmp_path / "readme.txt").touch()
    with pytest.raises(ManifestError, match=r"holds no recordings \(\.wav, \.flac, \.ogg, \.mp3\)"):
        find_recordings(tmp_path)


def test_headers_tell_length_and_rate_or_nothing(tmp_path: Path, make_wav: MakeWav) -> None:
    (tmp_path / "bad.wav").write_bytes(b"no audio")
    paths = [make_wav(tmp_path / "a.flac", 0.1, rate=8000, channels=2), tmp_path / "bad.wav"]
    found = read_headers(paths)
    assert found.to_dict("list") == {"num_samples": [800, -1], "sample_rate": [8000, -1]}


def test_preparing_fills_the_split_and_the_manifest_can_be_read(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    names = [f"Actor_{a:02d}/03-01-05-01-01-01-{a:02d}.wav" for a in range(1, 13)]
    folder = make_ravdess(tmp_path / "ravdess", make_wav, names)
    (folder / names[4]).write_bytes(b"damaged on the way")
    corpus = prepare_corpus("ravdess", folder, PrepareConfig())
    assert not find_leaks(corpus.table)
    for _, group in corpus.table.groupby("gender"):
        assert group["split"].value_counts().to_dict() == {"train": 3, "test": 2, "dev": 1}
    write_manifest(tmp_path / "m.csv", corpus.table)
    read = read_manifest(tmp_path / "m.csv")
    assert read.tasks == ["emotion", "gender", "intensity"]
    assert read.table["num_samples"].tolist() == [800] * 4 + [-1] + [800] * 7
    pd.testing.assert_series_equal(read.table["split"], corpus.table["split"])


def test_preparing_refuses_recordings_of_another_corpus(tmp_path: Path, make_wav: MakeWav) -> None:
    make_wav(tmp_path / "KD0_happiness_79.wav", 0.05)
    with pytest.raises(ManifestError, match="none of its recordings is named as ravdess names"):
        prepare_corpus("ravdess", tmp_path, PrepareConfig())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"dev_fraction": 0.0}, r"prepare\.dev_fraction: 0\.0 is not between 0 and 1"),
        ({"test_fraction": 1.0}, r"prepare\.test_fraction: 1\.0 is not between 0 and 1"),
        ({"dev_fraction": 0.5, "test_fraction": 0.5}, "leave nothing to train on"),
    ],
)
def test_parts_that_cannot_be_are_refused(settings: dict[str, float], message: str) -> None:
    with pytest.raises(ParamsError, match=message):
        PrepareConfig(**settings)
