"""What a recogniser hears: greedy decoding told twice, batches, and no special tokens."""

import itertools
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCTC, WhisperFeatureExtractor, WhisperForConditionalGeneration

from helpers.encoders import edit_json
from helpers.recognisers import END, LETTERS, MARKS, WORDS, save_ctc, save_other, save_whisper
from pipeline.transcription.base import Recogniser
from pipeline.transcription.recogniser import load_recogniser

START, NO_TIMESTAMPS = (
    END + MARKS.index(f"<|{m}|>") for m in ("startoftranscript", "notimestamps")
)
LANGUAGES = [END + MARKS.index(mark) for mark in ("<|en|>", "<|pl|>")]
TRANSCRIBE = END + MARKS.index("<|transcribe|>")
MAX_NEW_TOKENS = 12


def sounds() -> list[np.ndarray]:
    """Five tones in noise of .4 to 3 s."""
    generator = np.random.default_rng(0)
    made = []
    for num_samples in (16000, 48000, 6400, 20001, 32000):
        tone = np.sin(np.arange(num_samples) / generator.uniform(3, 200))
        made.append((tone * generator.standard_normal(num_samples)).astype(np.float32))
    return made


def opened(folder: Path) -> Recogniser:
    return load_recogniser(
        str(folder), compute_dtype="float32", device="cpu", max_new_tokens=MAX_NEW_TOKENS
    )


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_whisper(tmp_path_factory.mktemp("whisper"))


def by_hand(folder: Path, waveform: np.ndarray, *, is_multilingual: bool) -> str:
    """One step after the other, without a cache: the likeliest word, or the end."""
    model = WhisperForConditionalGeneration.from_pretrained(folder).eval()
    mel = WhisperFeatureExtractor.from_pretrained(folder)(
        waveform, sampling_rate=16000, return_tensors="pt"
    )["input_features"]

    def scores(tokens: list[int]) -> torch.Tensor:
        with torch.inference_mode():
            return model(mel, decoder_input_ids=torch.tensor([tokens])).logits[0, -1]

    tokens = [START]
    if is_multilingual:
        tokens += [max(LANGUAGES, key=lambda i: float(scores([START])[i])), TRANSCRIBE]
    tokens.append(NO_TIMESTAMPS)
    written: list[int] = []
    while len(written) < MAX_NEW_TOKENS:
        words = scores(tokens + written)[: END + 1]
        if not written:
            words = words[:END]  # a text does not begin with its end
        best = int(words.argmax())
        if best == END:
            break
        written.append(best)
    return " ".join(WORDS[i] for i in written)


@pytest.mark.parametrize("is_multilingual", [False, True])
def test_whisper_writes_what_greedy_decoding_by_hand_writes(
    tmp_path: Path, is_multilingual: bool
) -> None:
    folder = save_whisper(tmp_path)
    # As a released one says it; what was made of a config.json is not read.
    said = {"is_multilingual": is_multilingual, "_from_model_config": False}
    edit_json(folder / "generation_config.json", **said)
    wanted = [by_hand(folder, x, is_multilingual=is_multilingual) for x in sounds()]
    assert opened(folder).transcribe(sounds()) == wanted
    assert len(set(wanted)) > 1


def test_the_languages_of_a_whisper_of_english_are_not_asked_for(whisper: Path) -> None:
    wanted = [by_hand(whisper, x, is_multilingual=False) for x in sounds()]
    assert opened(whisper).transcribe(sounds()) == wanted


def test_whisper_writes_neither_time_stamps_nor_special_tokens(tmp_path: Path) -> None:
    """Even where they are likelier than any word."""
    folder = save_whisper(tmp_path)
    model = WhisperForConditionalGeneration.from_pretrained(folder)
    model.model.decoder.embed_tokens.weight.data[END + 1 :] *= 100
    model.save_pretrained(folder)
    texts = opened(folder).transcribe(sounds())
    assert {word for text in texts for word in text.split()} <= set(WORDS)
    assert all(texts)


@pytest.mark.parametrize(
    ("family", "group_norm"), [("wav2vec2", False), ("wav2vec2", True), ("hubert", True)]
)
def test_a_clip_in_a_batch_is_heard_as_alone(tmp_path: Path, family: str, group_norm: bool) -> None:
    recogniser = opened(save_ctc(tmp_path, family=family, group_norm=group_norm))
    alone = [recogniser.transcribe([waveform])[0] for waveform in sounds()]
    assert recogniser.transcribe(sounds()) == alone
    assert len(set(alone)) == len(alone)


def test_a_clip_in_a_batch_of_whisper_is_heard_as_alone(whisper: Path) -> None:
    recogniser = opened(whisper)
    alone = [recogniser.transcribe([waveform])[0] for waveform in sounds()]
    assert recogniser.transcribe(sounds()) == alone


@pytest.mark.parametrize("family", ["moonshine", "speech_to_text", "speech-encoder-decoder"])
def test_others_than_whisper_write_words_too(tmp_path: Path, family: str) -> None:
    recogniser = opened(save_other(tmp_path, family))
    alone = [recogniser.transcribe([waveform])[0] for waveform in sounds()]
    assert recogniser.transcribe(sounds()) == alone
    assert {word for text in alone for word in text.split()} <= set(WORDS)
    assert len(set(alone)) > 1
    # The shortest that is let through makes a frame.
    recogniser.transcribe([sounds()[0][: recogniser.min_samples]])


def test_letters_are_joined_and_blanks_dropped(tmp_path: Path) -> None:
    folder = save_ctc(tmp_path)
    model = AutoModelForCTC.from_pretrained(folder).eval()
    texts = []
    for waveform in sounds():
        scaled = (waveform - waveform.mean()) / np.sqrt(waveform.var() + 1e-7)
        with torch.inference_mode():
            best = model(torch.from_numpy(scaled)[None]).logits[0].argmax(-1).tolist()
        letters = [LETTERS[i] for i, _ in itertools.groupby(best)]
        text = "".join(" " if x == "|" else x for x in letters if not x.startswith("<"))
        texts.append(" ".join(text.split()))
    assert opened(folder).transcribe(sounds()) == texts


def test_a_letter_said_twice_is_written_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = opened(save_ctc(tmp_path))
    said = "<s> | h h e l l <pad> l o <s> o | | <unk>".split()  # noqa: SIM905
    frames = [*said, *["<pad>"] * 40]
    scores = torch.eye(len(LETTERS))[[LETTERS.index(x) for x in frames]]
    monkeypatch.setattr(recogniser, "_letters", lambda hidden: scores[None, : hidden.shape[1]])
    assert recogniser.transcribe([sounds()[0]]) == ["helloo"]


def test_the_source_tells_weights_apart_and_not_folders(tmp_path: Path) -> None:
    sources = [
        opened(save_whisper(tmp_path / name, seed=seed)).source
        for name, seed in (("a", 0), ("b", 0), ("c", 1))
    ]
    names = [source.partition("@") for source in sources]
    assert [name for name, _, _ in names] == [str(tmp_path / name) for name in "abc"]
    a, b, c = (digest for _, _, digest in names)
    assert a == b != c
    assert len(a) == 12
