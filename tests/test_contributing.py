"""CONTRIBUTING.md's examples are installed and run as they stand there."""

import re
import shlex
import tomllib
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from pipeline.manifests.manifest import write_manifest
from pipeline.store.reader import FeatureStore
from stages.cli import main

PAGE = Path(__file__).parent.parent / "CONTRIBUTING.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPEAKERS = [f"{first}{last}" for first in ("an", "be", "cy", "di") for last in ("a", "o", "u")]


def blocks(title: str) -> dict[str, str]:
    """Return the blocks of a section by language."""
    _, _, rest = PAGE.read_text().partition(f"\n### {title}\n")
    section = re.split(r"^##+ ", rest, flags=re.MULTILINE)[0]
    return dict(BLOCK.findall(section))


@pytest.fixture
def follow(install, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Install the package of a section, then run its commands where the recordings are."""

    def followed(title: str) -> str:
        found = blocks(title)
        project = tomllib.loads(found["toml"])["project"]
        groups = {
            group: "\n".join(f"{name} = {value}" for name, value in points.items())
            for group, points in project["entry-points"].items()
        }
        first, _, module = found["python"].partition("\n")
        install(re.fullmatch(r"# (\w+)\.py", first)[1], module, groups)
        monkeypatch.chdir(tmp_path)
        told = []
        for line in found["sh"].splitlines():
            program, *words = shlex.split(line)
            assert program == "genser"
            result = CliRunner().invoke(main, words)
            assert result.exit_code == 0, result.output
            told.append(result.output)
        return "".join(told)

    return followed


@pytest.fixture
def recordings(tmp_path: Path, make_wav) -> Path:
    """48 clips of twelve speakers, named as the page says, and their manifest clips.csv."""
    rows = []
    for i in range(48):
        speaker, emotion = SPEAKERS[i % 12], ("angry", "calm")[i // 12 % 2]
        path = make_wav(tmp_path / "recordings" / f"{speaker}_{emotion}_{i:02d}.wav", 0.3, i)
        split = ("train", "train", "dev", "test")[i % 4]
        rows.append((path.stem, path.name, speaker, emotion, split))
    names = ["utterance_id", "path", "speaker", "emotion", "split"]
    write_manifest(tmp_path / "clips.csv", pd.DataFrame(rows, columns=names).assign(corpus="c"))
    return tmp_path / "recordings"


@pytest.mark.usefixtures("recordings")
def test_the_page_s_corpus_can_be_followed(follow, tmp_path):
    assert "ours.csv: 48 rows are fine" in follow("A corpus")
    table = pd.read_csv(tmp_path / "ours.csv", dtype="str")
    assert sorted(set(table["speaker"])) == sorted(SPEAKERS)
    assert set(table["emotion"]) == {"angry", "calm"}
    assert table.groupby("speaker")["split"].nunique().eq(1).all()


@pytest.mark.usefixtures("recordings")
def test_the_page_s_encoder_can_be_followed(follow, tmp_path):
    follow("An encoder")
    view = FeatureStore.open(tmp_path / "features").view("layers")
    assert view.read(view.records["utterance_id"].tolist()).shape == (48, 1, 8)


@pytest.mark.usefixtures("recordings")
def test_the_page_s_head_can_be_followed(follow, tmp_path):
    assert "prototypes, test, 12 clips: WA" in follow("A head")
    assert "train.prototypes" not in (tmp_path / "head" / "head.json").read_text()
    assert '"scale": 2.0' in (tmp_path / "head" / "head.json").read_text()
    assert "prototypes" in (tmp_path / "report" / "report.md").read_text()


def test_every_block_of_the_page_is_run():
    run = [
        block for title in ("A corpus", "An encoder", "A head") for block in blocks(title).items()
    ]
    assert sorted(run) == sorted(BLOCK.findall(PAGE.read_text()))


def test_what_the_page_refers_to_is_there():
    text = PAGE.read_text()
    for name in re.findall(r"\]\(([\w./]+)[)#]", text):
        assert (PAGE.parent / name).exists(), name
    for name in re.findall(r"`((?:pipeline|docs|tests)/[\w./]*)`", text):
        assert (PAGE.parent / name).exists(), name
