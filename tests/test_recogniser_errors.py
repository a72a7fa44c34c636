"""What is no recogniser, or half of one, is refused in one line."""

from pathlib import Path
from typing import Any

import pytest

from helpers.encoders import edit_json, edit_weights
from helpers.recognisers import MARKS, save_ctc, save_whisper
from pipeline.errors import EncoderError
from pipeline.transcription.recogniser import load_recogniser


def refused(spelling: object, **options: Any) -> str:
    options = {"compute_dtype": "float32", "device": "cpu", "max_new_tokens": 12, **options}
    with pytest.raises(EncoderError) as caught:
        load_recogniser(str(spelling), **options)
    message = str(caught.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    none = tmp_path / "none"
    assert f"transcribe.model: {none}: no such folder, wanted a folder, or" in refused(none)
    told = refused("hf://some/none")
    assert "transcribe.model: hf://some/none cannot be loaded (We couldn" in told


def test_a_model_that_transcribes_nothing(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert "is a 'bert' model, wanted one that transcribes: whisper, " in refused(tmp_path)


def test_an_encoder_without_letters(tiny_encoder_folder: Path, tmp_path: Path) -> None:
    folder = save_ctc(tmp_path)
    edit_weights(folder, lambda weights: weights.pop("lm_head.weight"))
    assert "lacks 1 weights of its model, the first 'lm_head.weight'" in refused(folder)
    # An encoder as it is pretrained has no tokenizer either.
    assert f"transcribe.model: {tiny_encoder_folder} " in refused(tiny_encoder_folder)


@pytest.mark.parametrize("save", [save_whisper, save_ctc])
def test_a_missing_tokenizer(tmp_path: Path, save: Any) -> None:
    folder = save(tmp_path)
    for name in ("tokenizer.json", "tokenizer_config.json", "vocab.json", "letters.json"):
        (folder / name).unlink(missing_ok=True)
    assert "tokenizer" in refused(folder)


def test_a_tokenizer_of_another_model(tmp_path: Path) -> None:
    folder = save_whisper(tmp_path / "whisper", marks=MARKS[:-1])
    assert "its tokenizer has no token '<|notimestamps|>', wanted" in refused(folder)
    ctc = save_ctc(tmp_path / "ctc")
    edit_json(ctc / "config.json", vocab_size=5)
    edit_weights(
        ctc,
        lambda weights: weights.update(
            {name: weights[name][:5] for name in ("lm_head.weight", "lm_head.bias")}
        ),
    )
    assert "its tokenizer has 21 tokens, the model 5; take both" in refused(ctc)


def test_a_missing_preprocessor(tmp_path: Path) -> None:
    folder = save_whisper(tmp_path)
    (folder / "preprocessor_config.json").unlink()
    assert f"transcribe.model: {folder} cannot be loaded" in refused(folder)


def test_another_window(tmp_path: Path) -> None:
    folder = save_whisper(tmp_path)
    edit_json(folder / "preprocessor_config.json", chunk_length=20, n_samples=320000)
    assert "says chunk_length 20, wanted 30; take both" in refused(folder)


def test_an_adapter_over_frames(tmp_path: Path) -> None:
    folder = save_ctc(tmp_path)
    edit_json(folder / "config.json", add_adapter=True)
    assert "joins frames by an adapter (add_adapter), wanted a letter" in refused(folder)


def test_texts_longer_than_the_decoder_writes(tmp_path: Path) -> None:
    folder = save_whisper(tmp_path)
    wanted = f"transcribe.max_new_tokens: found 29, {folder} writes 28 at most; take a smaller one."
    assert refused(folder, max_new_tokens=29) == wanted
    load_recogniser(str(folder), compute_dtype="float32", device="cpu", max_new_tokens=28)


def test_number_types(tmp_path: Path) -> None:
    assert "compute_dtype: 'int8' is not one of" in refused(tmp_path, compute_dtype="int8")
    assert "'float16' needs a GPU, the device is" in refused(tmp_path, compute_dtype="float16")
