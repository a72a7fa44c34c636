"""The commands that make and look at manifests: prepare, merge, split, audit."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from pipeline.manifests.manifest import read_manifest
from stages.cli import main

MakeWav = Callable[..., Path]


def genser(*words: object) -> Result:
    result = CliRunner().invoke(main, [str(word) for word in words])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_wav: MakeWav) -> Path:
    """A folder with six speakers in a folder for each class, and a label map."""
    monkeypatch.chdir(tmp_path)
    for number in range(24):
        emotion, speaker = ("angry", "sad")[number % 2], f"s{number // 4}"
        make_wav(tmp_path / "audio" / emotion / f"{speaker}_{number}.wav", 0.1, seed=number)
    (tmp_path / "label_maps").mkdir()
    (tmp_path / "label_maps" / "emotion.yaml").write_text("classes: [sad, angry]\n")
    return tmp_path


def prepare(out: str = "m.csv", name: str = "mine") -> Result:
    return genser(
        *("prepare", "folders", "audio", "-o", out, "--name", name, "--speaker", r"/(s\d)_")
    )


def test_a_folder_for_each_class_becomes_a_manifest_with_a_split(here: Path) -> None:
    assert prepare().output == (
        "m.csv: 24 clips\n"
        "  split: train 12 clips of 3 speakers, dev 4 clips of 1 speakers, "
        "test 8 clips of 2 speakers\n"
    )
    assert genser("validate", "m.csv", "--audio-root", "audio", "--audio").exit_code == 0
    audit = genser("audit", "m.csv", "--audio-root", "audio", "--out", "a")
    assert audit.exit_code == 0, audit.output
    assert "m.csv: no leak found\n" in audit.output
    assert (here / "a" / "audit.csv").exists()
    assert (here / "a" / "audit.png").exists()


def test_folders_without_known_speakers_get_no_split(here: Path) -> None:
    result = genser("prepare", "folders", "audio", "-o", "m.csv")
    assert "audio: 0 speakers are known, too few for train, dev and test" in result.stderr
    assert set(read_manifest(here / "m.csv").table["split"]) == {""}
    assert "24 rows without a speaker cannot be checked" in genser("audit", "m.csv").output


def test_folds_are_columns_that_commands_choose_from(here: Path) -> None:
    prepare()
    result = genser("split", "m.csv", "--by", "speaker", "--folds", 3, "-o", "folds.csv")
    assert result.exit_code == 0, result.output
    assert [line.split(":")[0] for line in result.output.splitlines()[1:]] == [
        "  fold 1",
        "  fold 2",
        "  fold 3",
    ]
    read = read_manifest(here / "folds.csv")
    assert read.folds == ["1", "2", "3"]
    assert set(read.table["split"]) == {""}
    assert genser("validate", "folds.csv").exit_code == 0
    assert genser("audit", "folds.csv").exit_code == 0
    assert genser("audit", "folds.csv", "--fold", "2").output.count("train") == 1
    refused = genser("audit", "folds.csv", "--fold", "9")
    assert refused.exit_code == 1
    assert "has no fold '9', only ['1', '2', '3']" in refused.stderr
    again = genser("split", "folds.csv", "-o", "again.csv")
    assert again.output.splitlines()[1].startswith("  split: train 12 clips of 3 speakers")
    assert read_manifest(here / "again.csv").folds == []


def test_every_speaker_is_left_out_once(here: Path) -> None:
    prepare()
    result = genser("split", "m.csv", "--leave-one-out", "-o", "loso.csv")
    assert result.output.splitlines()[0] == "loso.csv: 24 clips"
    assert len(read_manifest(here / "loso.csv").folds) == 6


def test_a_leak_ends_with_1_and_says_what_is_shared(here: Path) -> None:
    prepare()
    table = pd.read_csv("m.csv", dtype="str", keep_default_na=False)
    table.assign(split=["train", "test"] * 12).to_csv("leak.csv", index=False)
    result = genser("audit", "leak.csv")
    assert result.exit_code == 1
    assert (
        "split: 6 speakers are in more than one split, e.g. 'mine/s0', 'mine/s1'" in result.stdout
    )
    assert "leak.csv: LEAK" in result.stdout
    assert genser("audit", "leak.csv", "--allow-speaker-overlap").exit_code == 0
    assert genser("validate", "leak.csv").exit_code == 1


def test_audio_that_two_splits_share_is_a_leak_though_its_speakers_differ(here: Path) -> None:
    prepare()
    table = read_manifest(here / "m.csv").table
    first = {part: rows["path"].iloc[0] for part, rows in table.groupby("split")}
    audio = here / "audio"
    (audio / first["test"]).write_bytes((audio / first["train"]).read_bytes())
    result = genser("audit", "m.csv", "--audio-root", "audio")
    assert result.exit_code == 1
    assert "split: 1 contents of clips are in more than one split" in result.stdout
    assert genser("audit", "m.csv").exit_code == 0


def test_corpora_merge_under_one_label_map(here: Path) -> None:
    prepare()
    prepare("n.csv", name="other")
    result = genser("merge", "m.csv", "n.csv", "-o", "all.csv")
    assert result.exit_code == 0, result.output
    read = read_manifest(here / "all.csv")
    assert len(read.table) == 48
    assert read.table["utterance_id"].iloc[0] == f"mine/{read.store_ids[0]}"
    by_corpus = genser("split", "all.csv", "--by", "corpus", "--leave-one-out", "-o", "loco.csv")
    assert by_corpus.exit_code == 0, by_corpus.output
    assert genser("audit", "loco.csv").exit_code == 0
    (here / "label_maps" / "emotion.yaml").write_text("classes: [sad]\n")
    refused = genser("merge", "m.csv", "n.csv", "-o", "all.csv")
    assert refused.exit_code == 1
    assert "  'angry' of mine: 12 rows\n  'angry' of other: 12 rows\n" in refused.stderr


def test_a_part_without_a_class_of_train_is_told_by_who_makes_or_looks_at_it(
    here: Path,
) -> None:
    prepare()
    text = (here / "m.csv").read_text().splitlines()
    (here / "n.csv").write_text("\n".join(r for r in text if ",dev," not in r or ",sad" in r))
    line = "dev lacks angry, which train has: scores on dev say nothing of that"
    assert f"classes: {line}\n" in genser("audit", "n.csv").stdout
    assert genser("merge", "n.csv", "-o", "o.csv").stderr == f"o.csv: {line}\n"
    again = genser("prepare", "table", "n.csv", "-o", "p.csv")
    assert again.stderr == f"p.csv: {line}\n"
    assert "lacks" not in genser("audit", "m.csv").stdout


def test_merge_says_which_map_it_used_or_which_labels_stay_apart(here: Path) -> None:
    prepare()
    beside = genser("merge", "m.csv", "-o", "all.csv")
    assert f"labels: {Path('label_maps/emotion.yaml')} names all of them\n" in beside.stdout
    (here / "label_maps" / "emotion.yaml").unlink()
    theirs = (here / "m.csv").read_text().replace(",mine,", ",theirs,").replace(",angry", ",anger")
    (here / "n.csv").write_text(theirs)
    apart = genser("merge", "m.csv", "n.csv", "-o", "all.csv")
    own = "data_manifests/label_maps/emotion.yaml"
    assert apart.stderr == (
        "all.csv: no label map is beside it (label_maps/emotion.yaml): every label is a class, "
        f"'anger' and 'angry' stay apart; give --label-map {own}, here and to train.\n"
    )
    # It is none of this folder's files: genser brings it along.
    given = genser("merge", "m.csv", "n.csv", "-o", "all.csv", "--label-map", own)
    assert f"labels: {own} names all of them; give it to train too\n" in given.stdout
    assert given.stderr == f"note: {own} is not here; the one that genser brings along is read.\n"
    assert genser("merge", "m.csv", "-o", "all.csv").stderr.endswith("every label is a class.\n")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "split m.csv -o x.csv --folds 2 --official",
            "--folds, --leave-one-out, --official: found",
        ),
        ("split m.csv -o x.csv --by session", "--by session: needs --folds K or --leave-one-out."),
        ("split m.csv -o x.csv --by session --folds 2", "m.csv: 24 of 24 rows have no session"),
        ("split m.csv -o x.csv --folds 1", "Invalid value for '--folds'"),
        ("split m.csv -o x.csv --official", "m.csv: the column 'official' is empty"),
        (
            "split m.csv -o x.csv --folds 9",
            "m.csv: 6 groups by 'speaker' (mine/s0, mine/s1, mine/s2)",
        ),
        ("audit m.csv --store s --audio-root audio", "--store, --audio-root: found both"),
        ("merge m.csv m.csv -o x.csv", "24 utterances are there twice, e.g. 'mine/angry/s0_0'"),
        ("merge m.csv -o x.txt", "x.txt: suffix '.txt' is not .csv, .jsonl or .parquet"),
        ("prepare emodb audio -o x.csv", "none of its recordings is named as emodb names them"),
        ("prepare berlin audio -o x.csv", "CORPUS: 'berlin' is not one of ['demo', 'ravdess'"),
        ("prepare ravdess none -o x.csv", "none: no such folder"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(here: Path, words: str, message: str) -> None:
    prepare()
    result = genser(*words.split())
    assert result.exit_code == 1
    assert message in result.stderr
    assert not (here / "x.csv").exists()
