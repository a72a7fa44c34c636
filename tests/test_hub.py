"""What is asked of the hub, and what never is."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from helpers.commands import refused
from pipeline.encoders.hub import has_file, hub_model, is_local
from pipeline.errors import EncoderError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("spelling", "wanted"),
    [
        (f"owner/name@{COMMIT}", ("owner/name", COMMIT)),
        (f"owner/na.me/some/folder@{COMMIT}", ("owner/na.me/some/folder", COMMIT)),
        ("hf://owner/name", ("owner/name", "main")),
        ("hf://owner/name@v1", ("owner/name", "v1")),
        (f"hf://name@{COMMIT}", ("name", COMMIT)),
    ],
)
def test_the_hub_is_asked_for_what_says_so(spelling: str, wanted: tuple[str, str]) -> None:
    assert hub_model(spelling) == wanted
    assert not is_local(spelling)


@given(st.text() | st.from_regex(r"\A[\w.-]+/[\w.-]+(@[\w.-]*)?\Z"))
def test_nothing_else_is(spelling: str) -> None:
    if "://" in spelling or spelling.partition("@")[2] == COMMIT:
        return
    with pytest.raises(EncoderError, match=r"^x\.y: ") as caught:
        hub_model(spelling, "x.y")
    assert "no such folder, wanted a folder, or" in str(caught.value) or spelling == ""
    assert not has_file(spelling) or is_local(spelling)


def test_a_name_too_long_for_a_folder_is_none() -> None:
    assert not is_local("x" * 300)
    assert not has_file("x" * 300)


@pytest.mark.parametrize("digits", [COMMIT[:-1], COMMIT + "0", COMMIT.upper(), "main", ""])
def test_half_a_commit_is_none(digits: str) -> None:
    with pytest.raises(EncoderError, match="no such folder"):
        hub_model(f"owner/name@{digits}")


def test_a_folder_is_one_whatever_it_is_called(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert not is_local("demo/encoder")
    (tmp_path / "demo" / "encoder").mkdir(parents=True)
    assert is_local("demo/encoder")
    assert not is_local("")


@pytest.fixture
def nobody_asks(monkeypatch):
    """The hub is reachable, and it is a fault to reach for it."""

    def asked(*args, **_):
        raise AssertionError(f"asked for {args}")

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("socket.getaddrinfo", asked)
    monkeypatch.setattr("transformers.utils.hub.hf_hub_download", asked)


COMMANDS = {
    "extract.encoder": "extract m.csv --audio-root audio --store s",
    "finetune.encoder": "finetune m.csv --audio-root audio --out f",
    "transcribe.model": "transcribe m.csv --audio-root audio --out t.csv",
    "embed.encoder": "embed m.csv --store s",
}


@pytest.mark.parametrize("parameter", COMMANDS)
@pytest.mark.parametrize("name", ["demo/encoder", "owner/name@main", "./encoder"])
@pytest.mark.usefixtures("nobody_asks")
def test_a_folder_that_is_not_there_is_no_such_folder(corpus, monkeypatch, parameter, name):
    monkeypatch.chdir(corpus.manifest.parent)
    Path("m.csv").write_text(
        "".join(
            f"{line},{'text' if i == 0 else 'go'}\n"
            for i, line in enumerate(corpus.manifest.read_text().splitlines())
        )
    )
    said = refused("-S", f"{parameter}={name}", *COMMANDS[parameter].split())
    assert f"{parameter}: {name}: no such folder, wanted a folder, or a model of the hub" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("parameter", ["extract.encoder", "finetune.encoder"])
@pytest.mark.usefixtures("nobody_asks")
def test_no_encoder_is_chosen_for_anybody(corpus, monkeypatch, parameter):
    monkeypatch.chdir(corpus.manifest.parent)
    Path("m.csv").write_bytes(corpus.manifest.read_bytes())
    said = refused(*COMMANDS[parameter].split())
    assert f"{parameter}: names none, wanted a folder, or a model of the hub" in said
