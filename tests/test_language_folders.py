"""Folders of language models: damaged ones are one line, another tokenizer is another model."""

import json
import shutil
from pathlib import Path

import pytest

from helpers.language import save_language_model
from pipeline.errors import EncoderError
from pipeline.language.loading import LanguageModel, load_language_model
from pipeline.language.prompt import chat_prompt

SYSTEM = "Answer with one of: joy, anger."


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_language_model(tmp_path_factory.mktemp("language"), warm_steps=0)


def load(folder: Path) -> LanguageModel:
    return load_language_model(
        str(folder), base_dtype="float32", gradient_checkpointing=False, where="here"
    )


def damaged(folder: Path, target: Path, file: str, old: str, new: str) -> Path:
    """Return a copy of a model's folder with something else in one of its files."""
    shutil.copytree(folder, target)
    text = (target / file).read_text()
    assert old in text
    (target / file).write_text(text.replace(old, new, 1))
    return target


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("endfor", "endfov", "cannot be filled in .*'endfov'"),
        ("message['role']", "message + 1", "cannot be filled in .*dict"),
    ],
)
def test_a_damaged_chat_template_is_one_line(
    folder: Path, tmp_path: Path, old: str, new: str, told: str
) -> None:
    model = load(damaged(folder, tmp_path / "other", "chat_template.jinja", old, new))
    with pytest.raises(EncoderError, match=f"^here: the chat template of .* {told}"):
        chat_prompt(model, system=SYSTEM, answer="", where="here")


def test_a_tokenizer_that_is_no_json_is_one_line(folder: Path, tmp_path: Path) -> None:
    other = damaged(folder, tmp_path / "other", "tokenizer.json", ",", ";")
    with pytest.raises(EncoderError, match=r"^here: .* cannot be loaded"):
        load(other)


def test_a_tokenizer_with_more_tokens_than_its_model_is_refused(
    folder: Path, tmp_path: Path
) -> None:
    other = shutil.copytree(folder, tmp_path / "other")
    tokeniser = load(folder).tokeniser
    tokeniser.add_tokens([f"new{i}" for i in range(30)])
    tokeniser.save_pretrained(other)
    with pytest.raises(
        EncoderError, match=r"its tokenizer has \d+ tokens, the model \d+; take both"
    ):
        load(other)


def test_another_tokenizer_or_template_is_another_model(folder: Path, tmp_path: Path) -> None:
    others = [
        damaged(folder, tmp_path / "template", "chat_template.jinja", "\n", " "),
        shutil.copytree(folder, tmp_path / "tokenizer"),
        shutil.copytree(folder, tmp_path / "same"),
    ]
    whole = json.loads((others[1] / "tokenizer.json").read_text())
    del whole["model"]["merges"][0]
    (others[1] / "tokenizer.json").write_text(json.dumps(whole))
    digests = [load(other).digest for other in [folder, *others]]
    assert digests[0] == digests[3]
    assert len(set(digests)) == 3
