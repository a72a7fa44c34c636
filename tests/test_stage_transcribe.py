"""The command `transcribe`: what it says, and what it refuses."""

from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest

from helpers.commands import genser, refused
from helpers.recognisers import WORDS, save_ctc, save_whisper
from pipeline.manifests.manifest import read_manifest, write_manifest
from pipeline.manifests.texts import text_sources


class Corpus(NamedTuple):
    manifest: Path
    audio: Path


FEW = ("-S", "transcribe.max_new_tokens=5")


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_whisper(tmp_path_factory.mktemp("whisper"))


@pytest.fixture
def there(corpus: Corpus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """The small corpus, from whose folder commands run; two corpora, three texts."""
    monkeypatch.chdir(tmp_path)
    table = read_manifest(corpus.manifest).table
    texts = ["Kids are TALKING!", "by the door", "dogs", *[""] * 9]
    table = table.assign(text=texts, corpus=["one", "one", *["two"] * 10])
    write_manifest(corpus.manifest, table)
    return corpus


def test_it_says_clips_seconds_failures_and_word_errors(there: Corpus, whisper: Path) -> None:
    (there.audio / "dev" / "dev_0.wav").write_bytes(b"no sound")
    options = ("--audio-root", there.audio, "--model", whisper, "--out", "heard.csv")
    result = genser(*FEW, "transcribe", "manifest.csv", *options)
    assert result.exit_code == 0, result.output
    new = read_manifest(Path("heard.csv")).table
    (source,) = text_sources(new)
    assert source.startswith(f"{whisper}@")
    assert {word for text in new["text"] for word in text.split()} <= set(WORDS)
    told = result.stdout.splitlines()
    assert told[0].startswith("heard.csv: 1 decode_error, 11 ok; ")
    assert told[0].endswith(f" s of audio, transcribed by {source}")
    for line, (name, num) in zip(told[1:], [("all", 3), ("one", 2), ("two", 1)], strict=True):
        assert line.startswith(f"heard.csv: {name}: WER ")
        assert line.endswith(
            f"% over {num} given texts (lower case, punctuation removed, spaces collapsed)"
        )
    assert "manifest.csv:6: 'dev_0': decode_error: " in result.stderr
    again = genser(*FEW, "transcribe", "manifest.csv", *options)
    assert "0 clips to transcribe, 12 kept from an earlier run" in again.stderr
    assert again.stdout == result.stdout
    # And of what is transcribed already by another, with all that the corpus gave.
    ctc = save_ctc(there.audio.parent / "ctc")
    words = ("transcribe", "heard.csv", "--audio-root", there.audio, "--out", "letters.csv")
    assert genser("-S", f"transcribe.model={ctc}", *words).exit_code == 0
    letters = read_manifest(Path("letters.csv")).table
    old = read_manifest(there.manifest).table
    assert text_sources(letters)[0].startswith(f"{ctc}@")
    assert letters["text_given"].tolist() == new["text_given"].tolist() == old["text"].tolist()


def test_a_manifest_without_texts_has_no_word_errors(corpus: Corpus, whisper: Path) -> None:
    out = corpus.manifest.with_name("heard.jsonl")
    words = ("transcribe", corpus.manifest, "--audio-root", corpus.audio, "--out", out)
    result = genser(*FEW, *words, "--model", whisper)
    assert result.exit_code == 0, result.output
    assert len(result.stdout.splitlines()) == 1
    assert "text_given" not in read_manifest(out).table


def test_mistakes_are_told_in_one_line_before_any_work(there: Corpus, whisper: Path) -> None:
    start = ("transcribe", "manifest.csv", "--audio-root", there.audio, "--out")
    assert "transcribe.model: names no recogniser, wanted a folder" in refused(*start, "o.csv")
    model = ("--model", whisper)
    assert "--out manifest.csv: is the manifest itself" in refused(*start, "manifest.csv", *model)
    assert "o.txt: suffix '.txt' is not .csv" in refused(*start, "o.txt", *model)
    assert "none: no such folder" in refused(*start, "o.csv", "--model", "none")
    assert "max_new_tokens: found 200" in refused(*start, "o.csv", *model)
    beyond = ("-S", "transcribe.max_duration_s=40", *FEW)
    assert f"{whisper} takes 30 seconds at once" in refused(*beyond, *start, "o.csv", *model)
    assert "unknown keys ['beams']" in refused("-S", "transcribe.beams=5", *start, "o.csv")
    assert sorted(path.name for path in Path().iterdir()) == ["audio", "manifest.csv"]


def test_inspect_tells_the_section(there: Corpus) -> None:
    Path("params.yaml").write_text("transcribe: {model: models/whisper, batch_size: 16}\n")
    told = genser("inspect", "params.yaml").stdout
    assert "models/whisper" in told
    assert "max_new_tokens" in told


def test_given_and_recognised_texts_merge(there: Corpus, whisper: Path) -> None:
    options = ("--audio-root", there.audio, "--model", whisper, "--out", "heard.csv")
    genser(*FEW, "transcribe", "manifest.csv", *options)
    heard = read_manifest(Path("heard.csv")).table
    renamed = heard.assign(utterance_id=heard["utterance_id"] + "_heard", corpus="three")
    write_manifest(Path("heard.csv"), renamed)
    result = genser("merge", "manifest.csv", "heard.csv", "-o", "both.csv")
    assert result.exit_code == 0, result.output
    both = read_manifest(Path("both.csv")).table
    assert len(text_sources(both)) == 2
    assert pd.Series(both["text_source"] == "").tolist() == [True] * 12 + [False] * 12
