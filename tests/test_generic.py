from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.corpora.generic import read_any_table, read_class_folders
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import GenserError, ManifestError, ParamsError
from pipeline.manifests.leaks import find_leaks
from pipeline.manifests.manifest import read_manifest, write_manifest

MakeWav = Callable[..., Path]

THEIRS = """file,path,class,who,channel
a,clips/a.wav,sad,S1,
b,clips/b.wav,angry,S2,2
"""


def make_class_folders(folder: Path, make_wav: MakeWav) -> Path:
    for name in ["sad/s1/x.wav", "sad/s2/x.WAV", "angry/s1_1.flac", "angry/s3_2.wav", "notes.wav"]:
        make_wav(folder / name, 0.05)
    return folder


def test_a_folder_for_each_class_becomes_rows(tmp_path: Path, make_wav: MakeWav) -> None:
    folder = make_class_folders(tmp_path / "mine", make_wav)
    corpus = read_class_folders(folder, corpus="mine", task="emotion", speaker=r"/(s\d)")
    header = {"corpus": "mine", "num_samples": 800, "sample_rate": 16000}
    assert corpus.table.to_dict("records") == [
        {"utterance_id": name, "path": path, "emotion": emotion, "speaker": speaker, **header}
        for name, path, emotion, speaker in (
            ("angry/s1_1", "angry/s1_1.flac", "angry", "s1"),
            ("angry/s3_2", "angry/s3_2.wav", "angry", "s3"),
            ("sad/s1/x", "sad/s1/x.wav", "sad", "s1"),
            ("sad/s2/x", "sad/s2/x.WAV", "sad", "s2"),
        )
    ]
    assert corpus.notes == [f"1 other recordings are passed over: {folder / 'notes.wav'}"]


def test_class_folders_are_prepared_with_splits_by_speaker(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    folder = make_class_folders(tmp_path / "mine", make_wav)
    source = Source(name="folders", path=folder, task="mood", speaker=r"(s\d)")
    write_manifest(tmp_path / "m.jsonl", prepare_corpus(source, PrepareConfig()).table)
    manifest = read_manifest(tmp_path / "m.jsonl")
    assert manifest.tasks == ["mood"]
    assert set(manifest.table["corpus"]) == {"mine"}
    assert set(manifest.table["split"]) == {"train", "dev", "test"}
    assert not find_leaks(manifest.table)


def test_class_folders_without_speakers_get_no_split(tmp_path: Path, make_wav: MakeWav) -> None:
    folder = make_class_folders(tmp_path / "mine", make_wav)
    source = Source(name="folders", path=folder, corpus="named")
    corpus = prepare_corpus(source, PrepareConfig())
    assert set(corpus.table["corpus"]) == {"named"}
    assert corpus.notes[1:] == [
        "0 speakers are known, too few for train, dev and test without a shared one; the split is "
        "left empty: merge corpora, or use 'genser split'"
    ]
    write_manifest(tmp_path / "m.csv", corpus.table)
    assert set(read_manifest(tmp_path / "m.csv").table["split"]) == {""}


def test_recordings_beside_the_class_folders_alone_are_refused(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    make_wav(tmp_path / "a.wav", 0.05)
    with pytest.raises(ManifestError) as error:
        prepare_corpus(Source(name="folders", path=tmp_path), PrepareConfig())
    assert str(error.value) == f"{tmp_path}: none of its recordings is named as folders names them."


@pytest.mark.parametrize(
    ("speaker", "message"),
    [
        (
            "(s",
            "--speaker (s: is no regular expression (missing ), unterminated subpattern at "
            "position 0).",
        ),
        (r"s\d", r"--speaker s\d: has no group; put the speaker in brackets."),
        (
            r"_(s\d)",
            r"--speaker _(s\d): finds no speaker in sad/s1/x.wav; mend the expression.",
        ),
        ("(x?)", "--speaker (x?): finds no speaker in sad/s1/x.wav; mend the expression."),
        ("(q)?", "--speaker (q)?: finds no speaker in sad/s1/x.wav; mend the expression."),
    ],
)
def test_a_speaker_that_cannot_be_found_is_refused(
    tmp_path: Path, make_wav: MakeWav, speaker: str, message: str
) -> None:
    folder = make_class_folders(tmp_path, make_wav)
    (folder / "angry" / "s3_2.wav").unlink()
    with pytest.raises(ParamsError) as error:
        read_class_folders(folder, corpus="c", task="emotion", speaker=speaker)
    assert str(error.value) == message


def test_a_table_with_other_columns_becomes_rows(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(THEIRS)
    renames = ["file=utterance_id", "class=emotion", "who=speaker"]
    table = read_any_table(path, renames).table
    columns = ["utterance_id", "path", "emotion", "speaker", "channel"]
    assert table[columns].to_dict("split")["data"] == [
        ["a", "clips/a.wav", "sad", "S1", -1],
        ["b", "clips/b.wav", "angry", "S2", 2],
    ]


def test_what_is_renamed_to_a_column_that_is_there_replaces_it(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(THEIRS)
    table = read_any_table(path, ["file=path", "path=utterance_id", "who=class"]).table
    assert table["path"].tolist() == ["a", "b"]
    assert table["utterance_id"].tolist() == ["clips/a.wav", "clips/b.wav"]
    assert table["class"].tolist() == ["S1", "S2"]


def test_a_table_keeps_the_split_that_it_has_else_speakers_are_dealt_out(tmp_path: Path) -> None:
    path = tmp_path / "theirs.csv"
    rows = [f"u{i},{i}.wav,s{i % 3},{'train' if i else 'test'}\n" for i in range(6)]
    path.write_text("".join(["id,path,speaker,part\n", *rows]))
    source = Source(name="table", path=path, renames=["id=utterance_id", "part=split"])
    kept = prepare_corpus(source, PrepareConfig()).table
    assert kept["split"].tolist() == ["test", *["train"] * 5]
    source = Source(name="table", path=path, renames=["id=utterance_id"])
    dealt = prepare_corpus(source, PrepareConfig()).table
    assert set(dealt["split"]) == {"train", "dev", "test"}
    assert not find_leaks(dealt)


@pytest.mark.parametrize(
    ("renames", "message"),
    [
        (["file"], "--map file: wanted THEIRS=OURS, two names of columns."),
        (["=emotion"], "--map =emotion: wanted THEIRS=OURS, two names of columns."),
        (["file="], "--map file=: wanted THEIRS=OURS, two names of columns."),
        (
            ["mood=emotion"],
            "{path}: has no column 'mood' of --map mood=emotion, only ['file', 'path', 'class', "
            "'who', 'channel'].",
        ),
        (
            ["class=emotion", "who=emotion"],
            "{path}: names the column 'emotion' twice; name each once.",
        ),
        (
            ["class=emotion"],
            "{path}: has no column 'utterance_id', only ['file', 'path', 'emotion', 'who', "
            "'channel']; see data_manifests/README.md for the columns.",
        ),
        (
            ["path=utterance_id", "file=path", "who=channel"],
            "{path}: 2 faults in its rows; mend the manifest:\n"
            "  {path}:2: channel 'S1' is not a number\n"
            "  {path}:3: channel 'S2' is not a number",
        ),
    ],
)
def test_a_table_that_cannot_be_renamed_is_refused(
    tmp_path: Path, renames: list[str], message: str
) -> None:
    path = tmp_path / "theirs.csv"
    path.write_text(THEIRS)
    with pytest.raises(GenserError) as error:
        read_any_table(path, renames)
    assert str(error.value) == message.format(path=path)
