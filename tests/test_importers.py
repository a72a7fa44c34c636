from itertools import product
from pathlib import Path, PurePath

import pytest

from helpers.corpora_with_tables import WITH_TABLES, make_tables
from helpers.named_corpora import HEADER, NAMED, MakeWav, Row, all_of_ravdess, make_clips, touch_all
from pipeline.corpora import air_bench, meld
from pipeline.corpora.catalogue import IMPORTERS
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import ManifestError
from pipeline.manifests.manifest import read_manifest, write_manifest
from stages.label_maps import read_label_map


def all_of_savee() -> list[str]:
    numbers = {"a": 15, "d": 15, "f": 15, "h": 15, "n": 30, "sa": 15, "su": 15}
    return [
        f"AudioData/{speaker}/{emotion}{number:02d}"
        for speaker in ("DC", "JE", "JK", "KL")
        for emotion, most in numbers.items()
        for number in range(1, most + 1)
    ]


def all_of_emovo() -> list[str]:
    emotions = ("dis", "gio", "neu", "pau", "rab", "sor", "tri")
    speakers = ("f1", "f2", "f3", "m1", "m2", "m3")
    kinds = {"b": 3, "d": 2, "l": 4, "n": 5}
    sentences = [f"{kind}{i + 1}" for kind, most in kinds.items() for i in range(most)]
    return [f"{s}/{e}-{s}-{text}" for e, s, text in product(emotions, speakers, sentences)]


def test_every_importer_has_a_row_or_tables_here() -> None:
    assert sorted({name for name, *_ in NAMED} | set(WITH_TABLES)) == sorted(IMPORTERS)


@pytest.mark.parametrize(("name", "path", "row"), NAMED)
def test_a_name_becomes_a_whole_row(
    tmp_path: Path, make_wav: MakeWav, name: str, path: str, row: Row
) -> None:
    make_clips(tmp_path, make_wav, [path])
    assert IMPORTERS[name].read(tmp_path).table.to_dict("records") == [
        {**row, "path": path, **HEADER}
    ]


@pytest.mark.parametrize(("name", "path", "row"), NAMED)
def test_however_a_corpus_is_kept_its_clips_are_the_same(
    tmp_path: Path, make_wav: MakeWav, name: str, path: str, row: Row
) -> None:
    stem = PurePath(path).with_suffix("")
    layouts = [f"{stem.name}.wav", f"de/ep/{stem}.WAV", f"{stem}.flac", f"{stem}.Ogg"]
    for number, layout in enumerate(layouts):
        folder = tmp_path / str(number)
        make_clips(folder, make_wav, [layout])
        (found,) = IMPORTERS[name].read(folder).table.to_dict("records")
        assert found["path"] == layout
        for column in ("utterance_id", "speaker", "emotion" if "emotion" in row else "intensity"):
            assert found[column] == row[column]


@pytest.mark.parametrize(("name", "path", "row"), NAMED)
def test_strange_recordings_and_clips_that_lack_are_told(
    tmp_path: Path, make_wav: MakeWav, name: str, path: str, row: Row
) -> None:
    strange = "none" if name != "emodb" else "17a01Wa"
    make_clips(tmp_path, make_wav, [path, f"b/{strange}.wav", "a/notes.wav"])
    touch_all(tmp_path, [f"._{PurePath(path).name}", "readme.txt"])
    importer = IMPORTERS[name]
    corpus = importer.read(tmp_path)
    assert corpus.table["utterance_id"].tolist() == [row["utterance_id"]]
    counted, *of_speakers, passed = corpus.notes
    assert of_speakers == [f"1 speakers found, {importer.title} has {importer.num_speakers}"]
    assert passed == (
        "2 other recordings are passed over: "
        f"{tmp_path / 'a/notes.wav'}, {tmp_path / f'b/{strange}.wav'}"
    )
    if importer.expected is None:
        assert counted == f"1 clips found, {importer.title} has {importer.num_clips}"
    else:
        lacking = sorted(set(importer.expected()) - {row["utterance_id"]})
        assert counted == (
            f"{len(lacking)} of {importer.num_clips} clips missing: {', '.join(lacking[:3])}, ..."
        )


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("ravdess", "03-02-02-01-01-01-01.wav"),  # a song
        ("ravdess", "01-01-02-01-01-01-01.wav"),  # sound of a video
        ("ravdess", "03-01-09-01-01-01-01.wav"),
        ("ravdess", "03-01-02-01-01-01-25.wav"),
        ("ravdess-song", "03-01-02-01-01-01-01.wav"),
        ("emodb", "01a01Wa.wav"),
        ("emodb", "03a03Wa.wav"),
        ("emodb", "03a01wa.wav"),
        ("tess", "OAF_back_surprise.wav"),
        ("savee", "DC/b01.wav"),
        ("savee", "XX/a01.wav"),
        ("savee", "a01.wav"),
        ("emovo", "gio-f4-b2.wav"),
        ("emovo", "gio-f2-n6.wav"),
        ("urdu", "SM1_F10_X010.wav"),
        ("turev-db", "Sound Source/Angry/1157_xx_acik.wav"),
        ("baved", "0-M-21-7-1-93.wav"),
        ("baved", "0-M-21-0-3-93.wav"),
        ("jl-corpus", "female3_angry_10a_1.wav"),
        ("jl-corpus", "female1_bored_10a_1.wav"),
        ("shemo", "M02X01.wav"),
        ("subesco", "F_02_MONIKA_S_1_BORED_5.wav"),
        ("mesd", "Anger_X_A_abajo.wav"),
        ("aesdd", "b03 (3).wav"),
        ("esd", "0021_000351.wav"),
        ("esd", "0011_000000.wav"),
        ("esd", "0011_001751.wav"),
        ("crema-d", "1001_IEO_CAL_XX.wav"),
        ("crema-d", "1001_XYZ_ANG_XX.wav"),
        ("meld", "train_splits/dia0.wav"),
        ("meld", "somewhere/dia0_utt0.wav"),
        ("iemocap", "Session1/dialog/wav/Ses01F_impro01.wav"),
        ("iemocap", "Ses06F_impro01_F000.wav"),
        ("air-bench-gender", "Speaker_Age_Prediction_common_voice_13.0_en/1.mp3"),
    ],
)
def test_what_is_named_otherwise_is_none_of_the_corpus(name: str, path: str) -> None:
    describe = {"meld": meld.describe, "air-bench-gender": air_bench.describe}.get(name)
    assert (describe or IMPORTERS[name].describe)(PurePath(path)) is None


@pytest.mark.parametrize("name", sorted(set(IMPORTERS) - {"air-bench-gender"}))
def test_every_class_is_known_to_a_label_map(name: str) -> None:
    folder = Path(__file__).parents[1] / "data_manifests" / "label_maps"
    maps = {"baved": "intensity", "meld": "meld"}
    known = read_label_map(folder / f"{maps.get(name, 'emotion')}.yaml")
    assert known is not None
    assert set(IMPORTERS[name].classes) <= {*known.classes, *known.mapping, *known.drop}


@pytest.mark.parametrize(
    ("name", "names", "size"),
    [
        ("ravdess", all_of_ravdess("01"), 1440),
        ("ravdess-song", all_of_ravdess("02"), 1012),
        ("savee", all_of_savee(), 480),
        ("emovo", all_of_emovo(), 588),
    ],
)
def test_a_whole_corpus_needs_no_note(
    tmp_path: Path, name: str, names: list[str], size: int
) -> None:
    touch_all(tmp_path, [f"{path}.wav" for path in names])
    corpus = IMPORTERS[name].read(tmp_path)
    assert len(corpus.table) == size == IMPORTERS[name].num_clips
    assert corpus.table["speaker"].nunique() == IMPORTERS[name].num_speakers
    assert set(corpus.table["emotion"]) == set(IMPORTERS[name].classes)
    assert corpus.notes == []


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        (None, "{folder}: holds no data.tsv, which tells emotions and speakers; put it there."),
        (
            b"file_id\temotion\n",
            "{folder}/data.tsv: has no column 'raw_text', only ['file_id', 'emotion']; fetch the "
            "corpus again.",
        ),
        (
            b"",
            "{folder}/data.tsv: not readable (No columns to parse from file); fetch the corpus "
            "again.",
        ),
        (
            "file_id\nł\n".encode("latin2"),
            "{folder}/data.tsv: not readable ('utf-8' codec can't decode byte 0xb3 in position 0: "
            "invalid start byte); fetch the corpus again.",
        ),
    ],
)
def test_a_bad_table_is_refused(tmp_path: Path, contents: bytes | None, message: str) -> None:
    if contents is not None:
        (tmp_path / "data.tsv").write_bytes(contents)
    with pytest.raises(ManifestError) as error:
        IMPORTERS["nemo"].read(tmp_path)
    assert str(error.value) == message.format(folder=tmp_path)


@pytest.mark.parametrize("name", IMPORTERS)
def test_recordings_of_another_corpus_are_refused(
    tmp_path: Path, make_wav: MakeWav, name: str
) -> None:
    make_tables(name, tmp_path)
    make_clips(tmp_path, make_wav, ["of another corpus.wav"])
    with pytest.raises(ManifestError) as error:
        prepare_corpus(Source(name=name, path=tmp_path), PrepareConfig())
    assert str(error.value) == (
        f"{tmp_path}: none of its recordings is named as {name} names them."
    )


@pytest.mark.parametrize("name", WITH_TABLES)
def test_recordings_without_their_table_are_refused(
    tmp_path: Path, make_wav: MakeWav, name: str
) -> None:
    make_clips(tmp_path, make_wav, ["a.wav"])
    with pytest.raises(ManifestError, match=r": (holds no \S+, .*; put it there|found no labels)"):
        IMPORTERS[name].read(tmp_path)


@pytest.mark.parametrize(("name", "path", "row"), NAMED)
def test_what_is_prepared_can_be_written_and_read(
    tmp_path: Path, make_wav: MakeWav, name: str, path: str, row: Row
) -> None:
    make_clips(tmp_path / "corpus", make_wav, [path])
    corpus = prepare_corpus(Source(name=name, path=tmp_path / "corpus"), PrepareConfig())
    assert corpus.notes[-1] == (
        "1 speakers are known, too few for train, dev and test without a shared one; the split is "
        "left empty: merge corpora, or use 'genser split'"
    )
    write_manifest(tmp_path / "manifest.csv", corpus.table)
    read = read_manifest(tmp_path / "manifest.csv")
    assert read.table.loc[0, ["utterance_id", "speaker"]].tolist() == [
        row["utterance_id"],
        row["speaker"],
    ]
    assert set(read.tasks) == {"emotion", "gender", "intensity", "age"} & set(row)
