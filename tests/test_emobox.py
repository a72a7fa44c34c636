import json
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.corpora.catalogue import IMPORTERS
from pipeline.corpora.emobox import read_emobox
from pipeline.corpora.importer import Corpus
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import ManifestError
from pipeline.manifests.leaks import find_leaks
from pipeline.manifests.manifest import Manifest, read_manifest, write_manifest

Lines = Callable[[str, list[str]], str]

ARCHIVE = Path(__file__).parents[2] / "shared" / "emobox.tar.gz"
CLIPS = [f"{speaker}_{i}" for speaker in "abcd" for i in range(4)]


def lines(names: list[str], *, dataset: str = "toy") -> str:
    """Return rows of EmoBox's JSONL; clips with an even number are `ang`, others `sad`."""
    rows = [
        {
            "key": f"{dataset}-{name}",
            "dataset": dataset,
            "wav": f"downloads/{dataset}/{name}.wav",
            "type": "raw",
            "sample_rate": 16000,
            "num_frame": 32706.000000000004,
            "task": "category",
            "length": 2.044125,
            "emo": ("ang", "sad")[int(name[-1]) % 2],
            "channel": 1,
        }
        for name in names
    ]
    return "".join(json.dumps(row) + "\n" for row in rows)


def stm(names: list[str], *, speaker: Callable[[str], str] = lambda name: name[0]) -> str:
    return "".join(
        f"toy-{name} 1 {speaker(name)} 0 2.044125 "
        f"<id=toy-{name},lang=en,spk={speaker(name)},emotion=ang> ang\n"
        for name in names
    )


def make_toy(folder: Path, *, tested: dict[str, str], dev: str = "") -> Path:
    """Write a corpus of speakers a to d, of which fold k tests `tested[k]`."""
    folder = folder / "toy"
    texts = {
        "toy.jsonl": lines(CLIPS),
        "label_map.json": json.dumps({"ang": "Angry", "sad": "Sad"}),
        "data.seg.wrd.stm": stm(CLIPS),
    }
    for number, speakers in tested.items():
        parts = {
            "test": [name for name in CLIPS if name[0] in speakers],
            "valid": [name for name in CLIPS if name[0] in dev],
            "train": [name for name in CLIPS if name[0] not in speakers + dev],
        }
        for part, names in parts.items():
            if names:
                texts[f"fold_{number}/toy_{part}_fold_{number}.jsonl"] = lines(names)
    for path, text in texts.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, encoding="utf-8")
    return folder


def prepare(folder: Path) -> Corpus:
    return prepare_corpus(Source(name="emobox", path=folder), PrepareConfig())


def prepared_manifest(corpus: Corpus, path: Path) -> Manifest:
    write_manifest(path, corpus.table)
    return read_manifest(path)


def test_a_row_has_the_label_by_its_name_and_the_speaker_of_the_stm(tmp_path: Path) -> None:
    corpus = read_emobox(make_toy(tmp_path, tested={"1": "a"}, dev="b"))
    row = corpus.table.iloc[1].dropna().to_dict()
    assert {name: value for name, value in row.items() if value != ""} == {
        "utterance_id": "toy-a_1",
        "path": "downloads/toy/a_1.wav",
        "corpus": "toy",
        "speaker": "a",
        "emotion": "sad",
        "split": "test",
        "channel": 1,
        "num_samples": 32706,
        "sample_rate": 16000,
    }
    assert corpus.notes == []


def test_a_single_fold_is_the_split_and_keeps_the_dev_part_it_has(tmp_path: Path) -> None:
    table = prepare(make_toy(tmp_path, tested={"1": "a"}, dev="b")).table
    assert [c for c in table.columns if c.startswith("split")] == ["split"]
    found = table.groupby("speaker")["split"].unique().str[0].to_dict()
    assert found == {"a": "test", "b": "dev", "c": "train", "d": "train"}


def test_several_folds_are_in_natural_order_and_each_gets_a_dev_part_of_its_own_speakers(
    tmp_path: Path,
) -> None:
    folder = make_toy(tmp_path, tested={"10": "a", "2": "b", "1": "cd"})
    manifest = prepared_manifest(prepare(folder), tmp_path / "manifest.csv")
    assert manifest.folds == ["1", "2", "10"]
    for fold, tested in (("1", "cd"), ("2", "b"), ("10", "a")):
        table = manifest.of_fold(fold).table
        assert not find_leaks(table)
        assert set(table.loc[table["split"] == "test", "speaker"]) == set(tested)
        assert set(table["split"]) == {"train", "dev", "test"}
        assert table.loc[table["split"] == "dev", "speaker"].nunique() == 1


def test_rows_of_the_older_schema_beside_are_passed_over(tmp_path: Path) -> None:
    folder = make_toy(tmp_path, tested={"1": "a"})
    older = '{"key": "toy-none", "audio": "none.wav", "label": "ang"}\n'
    (folder / "fold_1" / "toy_test_fold1.jsonl").write_text(older)
    (folder / "fold_1" / "toy_test2_fold_1.jsonl").write_text(older)
    (folder / "fold_1.zip").touch()
    assert read_emobox(folder).table["split"].value_counts().to_dict() == {"train": 12, "test": 4}


def test_labels_that_the_map_misses_are_taken_as_they_are_and_told(tmp_path: Path) -> None:
    folder = make_toy(tmp_path, tested={"1": "a"})
    (folder / "label_map.json").unlink()
    assert set(read_emobox(folder).table["emotion"]) == {"ang", "sad"}
    (folder / "label_dict.json").write_text('{"ang": "Angry", "unused": "Unused"}')
    corpus = read_emobox(folder)
    assert set(corpus.table["emotion"]) == {"angry", "sad"}
    assert corpus.notes == ["label_dict.json misses the labels sad; they are taken as they are"]


def test_clips_without_a_speaker_or_a_part_are_told(tmp_path: Path) -> None:
    folder = make_toy(tmp_path, tested={"1": "a"})
    (folder / "data.seg.wrd.stm").write_text(stm(CLIPS[:-1]))
    (folder / "fold_1" / "toy_test_fold_1.jsonl").write_text(lines(["a_0", "a_1"]))
    corpus = prepare(folder)
    assert corpus.table["split"].value_counts().to_dict() == {"train": 12, "test": 2, "": 2}
    assert corpus.notes == [
        "1 clips have no known speaker",
        "2 clips are in no part of fold 1",
        "split has no dev part, and no speakers to take one from",
    ]


def test_a_speaker_for_every_clip_is_no_speaker(tmp_path: Path) -> None:
    folder = make_toy(tmp_path, tested={"1": "a"})
    (folder / "data.seg.wrd.stm").write_text(stm(CLIPS, speaker=lambda name: f"{name} b.wav"))
    corpus = prepare(folder)
    assert set(corpus.table["speaker"]) == {""}
    assert set(corpus.table["split"]) == {"train", "test"}
    assert corpus.notes == [
        "every clip has a speaker of its own, which tells nothing; speakers are left empty",
        "split has no dev part, and no speakers to take one from",
    ]


def test_names_tell_the_speakers_where_no_stm_does(tmp_path: Path) -> None:
    folder = tmp_path / "emodb"
    folder.mkdir()
    names = ["03a01Fa", "03a02Fa", "08b02Wa", "note"]
    rows = [json.loads(lines([f"{name}0"], dataset="emodb")) for name in names]
    for row, name in zip(rows, names, strict=True):
        row["wav"] = f"downloads/emodb/wav/{name}.wav"
    (folder / "emodb.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    corpus = read_emobox(folder)
    assert corpus.table["speaker"].tolist() == ["03", "03", "08", ""]
    assert corpus.notes == ["1 clips have no known speaker"]


def test_a_speaker_in_the_stm_may_hold_spaces_and_other_letters(tmp_path: Path) -> None:
    folder = make_toy(tmp_path, tested={"1": "a"})
    named = {"a": "STEFAN-RÖTTIG", "b": "The Interviewer", "c": "c", "d": "d"}
    text = stm(CLIPS, speaker=lambda name: named[name[0]])
    (folder / "data.seg.wrd.stm").write_text(text, encoding="utf-8")
    assert set(read_emobox(folder).table["speaker"]) == set(named.values())


def test_a_fold_that_names_unknown_clips_is_refused(tmp_path: Path) -> None:
    folder = make_toy(tmp_path, tested={"1": "a"})
    path = folder / "fold_1" / "toy_test_fold_1.jsonl"
    path.write_text(lines(["a_0", "x_0", "x_1", "x_2", "x_3"]))
    with pytest.raises(ManifestError) as error:
        read_emobox(folder)
    assert str(error.value) == (
        f"{path}: names 4 clips that toy.jsonl has not: toy-x_0, toy-x_1, toy-x_2, ...; fetch "
        "EmoBox again."
    )


def test_a_damaged_fold_is_refused(tmp_path: Path) -> None:
    folder = make_toy(tmp_path, tested={"1": "a"})
    path = folder / "fold_1" / "toy_test_fold_1.jsonl"
    path.write_text(lines(["a_0"]) + '{"key": "toy-')
    with pytest.raises(ManifestError, match=r"toy_test_fold_1\.jsonl:2: is no JSON"):
        read_emobox(folder)


@pytest.mark.parametrize("name", ["label_map.json", "label_dict.json"])
def test_a_damaged_map_of_labels_is_refused(tmp_path: Path, name: str) -> None:
    folder = make_toy(tmp_path, tested={"1": "a"})
    (folder / "label_map.json").unlink()
    (folder / name).write_text("{")
    with pytest.raises(ManifestError) as error:
        read_emobox(folder)
    assert str(error.value) == (
        f"{folder / name}: is no JSON (Expecting property name enclosed in double quotes: line 1 "
        "column 2 (char 1)); fetch EmoBox again."
    )


def test_a_folder_that_is_no_corpus_of_emobox_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError) as error:
        read_emobox(tmp_path)
    assert str(error.value) == (
        f"{tmp_path / tmp_path.name}.jsonl: no such file; name a folder of EmoBox's data, such as "
        "data/iemocap."
    )


@pytest.fixture(scope="module")
def emobox(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("emobox")
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(folder, filter="data")
    return folder / "emobox"


# Clips, folds, speakers, those whom the parts of each fold share, classes.
REAL = {
    "aesdd": (604, 1, 6, [6], 5),
    "cremad": (7442, 1, 91, [91], 6),
    "emodb": (535, 5, 10, [10] * 5, 7),
    "emovo": (588, 6, 6, [0] * 6, 7),
    "iemocap": (5531, 5, 10, [0] * 5, 4),
    "meld": (13706, 1, 0, [0], 7),
    "mer2023": (5030, 1, 0, [0], 6),
    "pavoque": (7334, 1, 0, [0], 5),
    "ravdess": (1440, 6, 24, [0] * 6, 8),
    "resd": (1396, 1, 0, [0], 7),
    "savee": (480, 4, 4, [0] * 4, 7),
    "tess": (2800, 1, 2, [2], 7),
}


@pytest.mark.skipif(not ARCHIVE.is_file(), reason="has no EmoBox")
@pytest.mark.parametrize("name", REAL)
def test_a_real_corpus_of_emobox_with_the_speakers_that_its_folds_share(
    emobox: Path, tmp_path: Path, name: str
) -> None:
    clips, num_folds, speakers, shared, classes = REAL[name]
    manifest = prepared_manifest(prepare(emobox / name), tmp_path / "manifest.csv")
    table = manifest.table
    assert len(table) == clips
    assert len(set(table["speaker"]) - {""}) == speakers
    assert table["emotion"].nunique() == classes
    folds = manifest.folds or [None]
    assert len(folds) == num_folds
    assert [len(find_leaks(manifest.of_fold(fold).table).speakers) for fold in folds] == shared
    for importer in IMPORTERS.values():
        if importer.emobox == name and speakers:
            assert importer.num_speakers == speakers
