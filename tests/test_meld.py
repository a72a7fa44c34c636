import sys
from collections import Counter
from pathlib import Path
from shutil import copyfile

import pandas as pd
import pytest

from helpers.corpora_with_tables import MELD_CLIPS, make_tables
from helpers.named_corpora import (
    HEADER,
    SECONDS,
    MakeWav,
    make_clips,
    of_manifest,
    rows_of,
    touch_all,
)
from pipeline.corpora import meld
from pipeline.corpora.catalogue import IMPORTERS
from pipeline.corpora.preparation import PrepareConfig, Source, prepare_corpus
from pipeline.errors import ManifestError
from pipeline.manifests.leaks import find_leaks

SHARED = Path(__file__).parents[2] / "shared"


def test_meld_is_read_by_split_with_the_channel_of_the_voices(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    make_tables("meld", tmp_path)
    for name, channels in MELD_CLIPS.items():
        make_wav(tmp_path / f"{name}.flac", SECONDS, channels=channels)
    strange = "test/output_repeated_splits_test/final_videos_testdia0_utt0.wav"
    touch_all(tmp_path, [strange, "train/train_splits/dia9_utt9.wav"])
    corpus = IMPORTERS["meld"].read(tmp_path)
    rows = rows_of(corpus)
    assert rows["train_dia0_utt0"] == {
        "utterance_id": "train_dia0_utt0",
        "path": "train/train_splits/dia0_utt0.flac",
        "corpus": "meld",
        "speaker": "Phoebe",
        "emotion": "sadness",
        "sentiment": "negative",
        "language": "en",
        "text": "Oh my God, he\u2019s lost it.",
        "dialogue": "train_0",
        "official": "train",
        "overlap": "official",
        "channel": 3,
        **HEADER,
    }
    assert {name: (row["official"], row["channel"]) for name, row in rows.items()} == {
        "train_dia0_utt0": ("train", 3),
        "train_dia0_utt1": ("train", 1),
        "dev_dia0_utt0": ("dev", 3),
        "test_dia0_utt0": ("test", 1),
        "test_dia38_utt4": ("test", 3),
    }
    assert corpus.notes == [
        "5 clips found, MELD has 13706",
        "4 speakers found, MELD has 304",
        "1 of 6 labelled clips extra: train_dia9_utt9",
        f"1 other recordings are passed over: {tmp_path / strange}",
        "1 clips are left out, unreadable as published: train_dia125_utt3",
        "1 clips are cut wrongly as published and are kept: test_dia38_utt4 (305 s)",
    ]


def test_meld_s_tables_alone_give_the_rows_of_its_videos(tmp_path: Path) -> None:
    make_tables("meld", tmp_path)
    corpus = prepare_corpus(Source(name="meld", path=tmp_path), PrepareConfig())
    rows = rows_of(corpus)
    told = {"path", "text", "emotion", "split", "dialogue", "channel", "num_samples"}
    assert {key: rows["train_dia0_utt0"][key] for key in told} == {
        "path": "train_splits/dia0_utt0.mp4",
        "text": "Oh my God, he\u2019s lost it.",
        "emotion": "sadness",
        "split": "train",
        "dialogue": "train_0",
        "channel": -1,
        "num_samples": -1,
    }
    assert {name: row["path"] for name, row in rows.items() if "train" not in name} == {
        "dev_dia0_utt0": "dev_splits_complete/dia0_utt0.mp4",
        "test_dia0_utt0": "output_repeated_splits_test/dia0_utt0.mp4",
        "test_dia38_utt4": "output_repeated_splits_test/dia38_utt4.mp4",
    }
    assert corpus.notes[2:] == [
        "no recordings are there; the rows have text and labels, and the paths of the videos",
        "1 clips are left out, unreadable as published: train_dia125_utt3",
        "1 clips are cut wrongly as published and are kept: test_dia38_utt4 (305 s)",
    ]
    leaks = find_leaks(of_manifest(tmp_path / "manifest.csv", corpus.table))
    assert not leaks


def test_meld_as_video_is_refused_without_what_tells_its_channels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_tables("meld", tmp_path)
    touch_all(tmp_path, [f"{name}.MP4" for name in MELD_CLIPS])
    monkeypatch.setitem(sys.modules, "torchcodec", None)
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    with pytest.raises(ManifestError) as error:
        IMPORTERS["meld"].read(tmp_path)
    assert str(error.value).startswith(f"{tmp_path}: MP4 needs torchcodec and FFmpeg (")


def test_meld_keeps_its_owners_split_and_declares_its_shared_speakers(
    tmp_path: Path, make_wav: MakeWav
) -> None:
    make_tables("meld", tmp_path)
    make_clips(tmp_path, make_wav, [f"{name}.wav" for name in MELD_CLIPS])
    corpus = prepare_corpus(Source(name="meld", path=tmp_path), PrepareConfig())
    assert corpus.table["split"].equals(corpus.table["official"].rename("split"))
    leaks = find_leaks(of_manifest(tmp_path / "manifest.csv", corpus.table))
    assert leaks.speakers == leaks.declared == ("meld/Phoebe",)
    assert not leaks


@pytest.mark.skipif(not (SHARED / "meld").is_dir(), reason="has no tables of MELD")
def test_the_real_tables_of_meld(tmp_path: Path) -> None:
    names = []
    for folder, split in meld.FOLDERS.items():
        if folder in ("train", "dev", "test"):
            table = f"{split}_sent_emo.csv"
            copyfile(SHARED / "meld" / table, tmp_path / table)
            rows = pd.read_csv(tmp_path / table)
            ids = zip(rows["Dialogue_ID"], rows["Utterance_ID"], strict=True)
            names += [f"{folder}/dia{d}_utt{u}.flac" for d, u in ids]
    touch_all(tmp_path, names)
    corpus = prepare_corpus(Source(name="meld", path=tmp_path), PrepareConfig())
    table = of_manifest(tmp_path / "manifest.csv", corpus.table)
    assert Counter(table["split"]) == {"train": 9988, "dev": 1108, "test": 2610}
    assert Counter(table.loc[table["split"] == "test", "emotion"]) == {
        "neutral": 1256,
        "joy": 402,
        "anger": 345,
        "surprise": 281,
        "sadness": 208,
        "disgust": 68,
        "fear": 50,
    }
    assert table["dialogue"].nunique() == 1432
    assert table["speaker"].nunique() == IMPORTERS["meld"].num_speakers == 304
    leaks = find_leaks(table)
    assert not leaks
    assert len(leaks.speakers) == len(leaks.declared) == 82
    assert len(find_leaks(table[table["split"] != "dev"]).speakers) == 69
    assert corpus.notes == [
        "2 clips are left out, unreadable as published: dev_dia110_utt7, train_dia125_utt3",
        "2 clips are cut wrongly as published and are kept: test_dia38_utt4 (305 s), "
        "test_dia220_utt0 (235 s)",
    ]
