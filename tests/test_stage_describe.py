"""The command `describe`: what it writes and says, and what it refuses."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile
from ruamel.yaml import YAML

from helpers.commands import genser, refused
from helpers.describing import CLIPS_PER_SPEAKER, voice, write_voices
from pipeline.descriptions.record import description_path, read_description
from pipeline.descriptions.slots import SLOTS
from pipeline.errors import ManifestError
from pipeline.manifests.manifest import read_manifest, write_manifest
from stages.grammars import read_grammar

ENGLISH = read_grammar("")
DESCRIBE = ("describe", "manifest.csv", "--audio-root", "audio", "--out")


@pytest.fixture
def there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A manifest and its recordings, from whose folder commands run."""
    monkeypatch.chdir(tmp_path)
    return write_voices(tmp_path)


def described(*words: object, out: str = "out.csv") -> pd.DataFrame:
    result = genser(*words, *DESCRIBE, out)
    assert result.exit_code == 0, result.output
    return read_manifest(Path(out)).table.set_index("utterance_id")


def levels(table: pd.DataFrame) -> pd.DataFrame:
    return pd.DataFrame(map(ENGLISH.levels_said, table["descriptors"]), index=table.index)


def test_words_follow_what_is_heard_within_each_speaker(there: Path) -> None:
    table = described()
    said = levels(table)
    for speaker in "ab":
        mine = said.loc[[f"{speaker}{i}" for i in range(CLIPS_PER_SPEAKER)]]
        for slot in ("pitch", "energy", "variation"):
            assert mine[slot].tolist() == sorted(mine[slot]), slot
            # An octave between them, and both have a highest and a lowest clip.
            assert {0, 1, 2, 3, 4} == set(mine[slot]), slot
    # Held against the other woman, whose voice is lower.
    assert said.loc["c0", "pitch"] > said.loc["a0", "pitch"]
    assert said.loc["c0", "energy"] == said.loc["a0", "energy"]
    assert (table["descriptors_source"] == table["descriptors_source"].iloc[0]).all()
    assert table["descriptors_source"].iloc[0].startswith("self-made@")
    assert table.loc["a0", "measured.pitch"] == pytest.approx(36, abs=0.1)


def test_it_says_outcomes_what_clips_are_held_against_and_an_example(there: Path) -> None:
    (there.parent / "audio" / "c" / "3.wav").unlink()
    (there.parent / "audio" / "a" / "9.wav").write_bytes(b"no sound")
    result = genser(*DESCRIBE, "out.csv")
    assert result.exit_code == 0, result.output
    assert "manifest.csv:11: 'a9': decode_error: not decodable" in result.stderr
    assert "manifest.csv:25: 'c3': missing: no such file" in result.stderr
    table = read_manifest(Path("out.csv")).table.set_index("utterance_id")
    source = table["descriptors_source"].iloc[0]
    first, second = result.stdout.splitlines()
    assert first == (
        f"out.csv: 1 decode_error, 1 missing, 28 ok; 28 described by {source}, 19 against their "
        "speaker, 9 against their gender"
    )
    assert second == f"out.csv: a0: {table.loc['a0', 'descriptors']}"
    for name in ("a9", "c3"):
        assert table.loc[name, ["descriptors", "descriptors_source"]].tolist() == ["", ""]
        assert table.loc[name, ["measured.pitch", "measured.energy"]].isna().all()


def test_no_label_is_read_and_the_test_clips_change_no_other_word(there: Path) -> None:
    table = described()
    read = read_manifest(there).table
    write_manifest(there, read.assign(emotion=["fearful", "x", "happy"] * 10))
    assert described(out="two.csv")["descriptors"].equals(table["descriptors"])
    write_manifest(there, read[read["speaker"] != "c"])
    pd.testing.assert_series_equal(
        described(out="three.csv")["descriptors"], table["descriptors"].iloc[:20]
    )


def test_a_fold_s_descriptors_are_those_of_a_manifest_with_that_split(there: Path) -> None:
    read = read_manifest(there).table
    splits = {
        "1": read["split"],
        "2": read["speaker"].map({"a": "test", "b": "train", "c": "train"}),
    }
    alone = {}
    for fold, split in splits.items():
        write_manifest(there, read.assign(split=split))
        alone[fold] = described(out=f"alone{fold}.csv")["descriptors"]
    folds = {f"split.{fold}": split for fold, split in splits.items()}
    write_manifest(there, read.assign(split="", **folds))
    table = described()
    assert not alone["1"].equals(alone["2"])
    for fold, wanted in alone.items():
        assert table[f"descriptors.{fold}"].tolist() == wanted.tolist()
        of_fold = read_manifest(Path("out.csv"), fold).table
        assert of_fold["descriptors"].tolist() == wanted.tolist()
        description = read_description(description_path(Path("out.csv")))
        assert description.levels(of_fold, fold) == [
            ENGLISH.levels_said(text) for text in of_fold["descriptors"]
        ]
    assert table["descriptors"].tolist() == [""] * 30
    assert set(table["descriptors_source"]) == {description.source}
    with pytest.raises(ManifestError, match=r"folds \['1', '2'\], found 'x' wanted"):
        description.levels(table, "x")


def test_what_was_used_is_kept_beside_and_refused_when_damaged(there: Path) -> None:
    table = described()
    path = description_path(Path("out.csv"))
    description = read_description(path)
    assert description.grammar == ENGLISH
    assert description.source == table["descriptors_source"].iloc[0]
    assert set(description.fits[""].ids) == {f"{s}{i}" for s in "ab" for i in range(10)}
    path.write_bytes(path.read_bytes().replace(b"very low", b"very deep"))
    with pytest.raises(ManifestError, match=r"description\.json: is damaged, or no genser-desc"):
        read_description(path)
    with pytest.raises(ManifestError, match=r"description\.json: cannot be read"):
        read_description(description_path(Path("none.csv")))


def test_another_grammar_says_the_same_levels_in_its_words(there: Path) -> None:
    table = described()
    content = ENGLISH.content
    content["levels"] = {s: [f"{s} {word}" for word in "abcde"] for s in SLOTS}
    YAML(typ="safe").dump(content, Path("mine.yaml"))
    other = described("-S", "describe.grammar=mine.yaml", out="other.csv")
    mine = read_grammar("mine.yaml")
    said = pd.DataFrame(map(mine.levels_said, other["descriptors"]), index=other.index)
    assert said.equals(levels(table))
    assert other["descriptors_source"].iloc[0] != table["descriptors_source"].iloc[0]


def test_as_many_sentences_of_the_grammar_are_used_as_are_asked_for(there: Path) -> None:
    every, first = described(), described("-S", "describe.templates=1", out="first.csv")
    assert levels(every).equals(levels(first))
    assert every["descriptors"].str.startswith("A ").mean() < 1
    assert first["descriptors"].str.startswith("A ").all()
    kept = read_description(description_path(Path("first.csv"))).grammar
    assert kept.templates == ENGLISH.templates[:1]
    assert first["descriptors_source"].iloc[0] != every["descriptors_source"].iloc[0]


def test_the_word_that_stands_out_is_said_where_its_time_is_known(there: Path) -> None:
    read = read_manifest(there).table
    times = ["0-0.1 0.1-0.2 0.2-0.3 0.3-0.4", *[""] * 29]
    write_manifest(there, read.assign(text=["One, 'two' three four", *[""] * 29], word_times=times))
    sound = voice(np.repeat([220.0, 300.0, 220.0, 220.0], 1600), 0.4, 0.05)
    sound[1600:3200] *= 3
    soundfile.write("audio/a/0.wav", sound, 16000)
    table = described()
    assert "'two'" in table.loc["a0", "descriptors"]
    assert table["descriptors"].str.contains("'").sum() == 1


def test_given_descriptors_stay(there: Path) -> None:
    read = read_manifest(there).table
    write_manifest(there, read.assign(descriptors=["Theirs.", *[""] * 29]))
    result = genser(*DESCRIBE, "out.csv")
    assert "; 29 described by self-made@" in result.stdout
    assert result.stdout.splitlines()[0].endswith("; 1 keep what they had")
    table = read_manifest(Path("out.csv")).table
    assert table["descriptors"].iloc[0] == "Theirs."
    # Described again, what was made is made anew and not taken for the corpus's own.
    again = ("describe", "out.csv", "--audio-root", "audio", "--out", "again.csv")
    assert "; 29 described by" in genser(*again).stdout
    assert read_manifest(Path("again.csv")).table.equals(table)


def test_mistakes_are_told_in_one_line_before_any_work(there: Path) -> None:
    start = ("describe", "manifest.csv", "--out", "o.csv")
    one = "--audio-root, --store, --from: wanted one of the three"
    assert one in refused(*start)
    assert one in refused(*start, "--audio-root", "audio", "--store", "s")
    assert "--out manifest.csv: is the manifest itself" in refused(*DESCRIBE, "manifest.csv")
    assert "o.txt: suffix '.txt' is not .csv" in refused(*DESCRIBE, "o.txt")
    assert "s: no feature store there" in refused(*start, "--store", "s")
    gone = ("-S", "describe.grammar=gone.yaml")
    assert "gone.yaml: cannot be read" in refused(*gone, *DESCRIBE, "o.csv")
    many = refused("-S", "describe.templates=5", *DESCRIBE, "o.csv")
    assert "describe.templates: 5 is more than the 4 of " in many
    less = refused("-S", "describe.templates=-1", *DESCRIBE, "o.csv")
    assert "describe.templates: -1 is below 0" in less
    assert "unknown keys ['slots']" in refused("-S", "describe.slots=5", *DESCRIBE, "o.csv")
    other = ("describe", "manifest.csv", "--audio-root", "x=audio", "--out", "o.csv")
    assert "corpus 'voices' has no audio root" in refused(*other)
    read = read_manifest(there).table
    write_manifest(there, read.assign(split="test"))
    assert "manifest.csv: no row is of split train" in refused(*DESCRIBE, "o.csv")
    write_manifest(there, read.assign(split=["train"] * 7 + ["test"] * 23))
    assert "manifest.csv: 7 training clips" in refused(*DESCRIBE, "o.csv")
    assert not Path("o.csv").exists()


def test_inspect_tells_the_section(there: Path) -> None:
    Path("params.yaml").write_text("describe: {against: gender, least_clips: 20}\n")
    told = genser("inspect", "params.yaml").stdout
    assert "against gender" in told
    assert "least_clips 20" in told
