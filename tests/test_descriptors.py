"""The head of descriptors, trained: what it says, what is kept, what a manifest may lack."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open

from helpers.descriptors import DESCRIBED, SAID, Made, batch_of, config_of, head_of, make
from helpers.training import train_into
from pipeline.errors import HeadError, ManifestError, ParamsError
from pipeline.heads.descriptors_config import DescriptorsScoring
from pipeline.heads.folder import read_head_record
from pipeline.heads.saved import load_head
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def trained(made: Made, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A head that has learnt what there is to learn."""
    out = tmp_path_factory.mktemp("trained") / "head"
    train(made, config_of(made), out)
    return out


def train(made: Made, config: TrainConfig, out: Path):
    return train_into(out, made.corpus.manifest, made.corpus.store, config)


def with_columns(made: Made, **columns: Any) -> Made:
    """Return the corpus with other columns; None drops one."""
    table = made.corpus.manifest.table.drop(columns=[n for n, v in columns.items() if v is None])
    table = table.assign(**{n: v for n, v in columns.items() if v is not None})
    manifest = replace(made.corpus.manifest, table=table)
    return made._replace(corpus=made.corpus._replace(manifest=manifest))


def scored(made: Made, out: Path, **options: Any):
    config = ScoreConfig(heads={"descriptors": DescriptorsScoring(**options)})
    stores = {"": made.corpus.store}
    manifest = made.corpus.manifest
    found = score_manifest(manifest, stores, load_head(out), config, device="cpu").table.to_pandas()
    return found[found["split"] == "test"]


def test_it_describes_names_the_emotion_and_transcribes(made: Made, trained: Path) -> None:
    table = scored(made, trained, transcribe=True)
    assert (table["predicted"] == table["label"]).mean() > 0.9
    assert (table["descriptors"] == table["label"].map(DESCRIBED)).mean() > 0.9
    assert (table["transcript"] == table["label"].map(SAID)).mean() > 0.9


def test_its_emotion_follows_the_description_that_comes_before_it(made, trained: Path) -> None:
    predicted = scored(made, trained)
    gold = scored(made, trained, condition="gold")
    other = dict(zip(DESCRIBED, reversed(DESCRIBED.values()), strict=True))
    misled = with_columns(made, descriptors=made.corpus.manifest.table["emotion"].map(other))
    turned = scored(misled, trained, condition="gold")
    assert "descriptors" not in gold.columns
    right = (predicted["descriptors"] == predicted["label"].map(DESCRIBED)).to_numpy()
    names = ["score.calm", "score.angry"]
    torch.testing.assert_close(
        torch.tensor(predicted[names].to_numpy()[right]),
        torch.tensor(gold[names].to_numpy()[right]),
        atol=1e-4,
        rtol=0,
    )
    assert (gold["predicted"] == gold["label"]).mean() > 0.9
    assert (turned["predicted"] == turned["label"]).mean() < 0.5
    alone = scored(made, trained, condition="none")
    assert not (alone["score.calm"].to_numpy() == gold["score.calm"].to_numpy()).any()


def test_scoring_needs_neither_texts_nor_descriptions(made: Made, trained: Path) -> None:
    bare = with_columns(made, text=None, descriptors=None)
    wanted = scored(made, trained)
    found = scored(bare, trained)
    assert found["descriptors"].tolist() == wanted["descriptors"].tolist()
    assert found["predicted"].tolist() == wanted["predicted"].tolist()


def test_given_descriptions_are_of_every_clip(made: Made, trained: Path) -> None:
    descriptors = made.corpus.manifest.table["descriptors"].copy()
    descriptors.iloc[-1] = " "
    message = r"^score\.descriptors\.condition: gold wants a description of each clip, but 1 of"
    with pytest.raises(HeadError, match=message):
        scored(with_columns(made, descriptors=descriptors), trained, condition="gold")


def test_a_head_that_never_describes_says_so(made: Made, tmp_path: Path) -> None:
    bare = with_columns(made, descriptors=None)
    config = config_of(made, describe=False, transcribe=False, num_steps=2, stage1_steps=2)
    train(bare, config, tmp_path / "head")
    table = scored(bare, tmp_path / "head")
    assert table["predicted"].notna().all()
    assert not {"descriptors", "transcript"} & set(table.columns)
    with pytest.raises(HeadError, match="but this head has learnt none"):
        scored(made, tmp_path / "head", condition="gold")
    with pytest.raises(HeadError, match=r"^score\.descriptors\.transcribe: found true"):
        scored(made, tmp_path / "head", transcribe=True)


@pytest.mark.parametrize(
    ("column", "message"),
    [
        ("text", "no row has a text, and this head reads the column 'text'"),
        ("descriptors", "no row has 'descriptors', and this head is to learn them; add the column"),
    ],
)
def test_what_is_to_be_learnt_and_is_nowhere_is_one_line(
    made: Made, tmp_path: Path, column: str, message: str
) -> None:
    with pytest.raises(ManifestError, match=message):
        train(with_columns(made, **{column: ""}), config_of(made), tmp_path / "head")
    assert not (tmp_path / "head/head.json").exists()


def test_rows_may_lack_a_text_or_a_description(made: Made, tmp_path: Path) -> None:
    """Batches without any text too: of stage 1 there are such, as few clips have one."""
    table = made.corpus.manifest.table
    some = [i % 9 == 0 for i in range(len(table))]
    sparse = with_columns(
        made,
        text=table["text"].where(some, ""),
        descriptors=table["descriptors"].where(some, ""),
    )
    config = config_of(made, num_steps=10, stage1_steps=10)
    curves = train(sparse, config, tmp_path / "head").curves
    assert curves[["train_loss", "dev_ce"]].notna().all(axis=None)


@pytest.mark.parametrize(
    "section",
    [
        {"branches": "one", "bottleneck": False, "stages": "joint"},
        {"stages": "joint", "shared_layers": True},
        {"alternate": "batches"},
        {"rounds": 2},
        {"branches": "one"},
        {"beta_first": 0.1, "beta_last": 0.1},
        {"stage1_steps": 0, "transcribe": False},
    ],
)
def test_every_reading_is_trained(made: Made, tmp_path: Path, section: dict[str, Any]) -> None:
    config = config_of(made, **{"num_steps": 4, "stage1_steps": 4, **section})
    curves = train(made, config, tmp_path / "head").curves
    assert curves["dev_ce"].notna().all()
    names = {c.removeprefix("loss.") for c in curves.columns if c.startswith("loss.")}
    assert ("kl_content" in names) == (
        section.get("bottleneck", True) and section.get("stage1_steps", 4) > 0
    )
    assert scored(made, tmp_path / "head")["predicted"].notna().all()


def test_the_base_is_not_kept_and_the_record_says_what_it_is(made: Made, trained: Path) -> None:
    (weights,) = trained.glob("weights-*.safetensors")
    with safe_open(weights, "pt") as file:
        names = list(file.keys())
    assert not any("embed_tokens" in name for name in names)
    assert any("lora_A" in name for name in names)
    record = read_head_record(trained)
    assert [base.spelling for base in record.bases] == [str(made.language)]
    assert record.facts["words"] == {"calm": "calm", "angry": "angry"}
    assert record.text_sources == ("gold",)
    fresh = head_of(made, config_of(made))
    for (name, one), other in zip(
        load_head(trained).head.model.network.named_parameters(),
        fresh.model.network.parameters(),
        strict=True,
    ):
        assert "lora_" in name or torch.equal(one, other), name


class KilledError(Exception):
    pass


@pytest.mark.parametrize("kill_at", [1, 3])
def test_killed_in_either_stage_it_ends_with_the_same_bytes(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    config = replace(config_of(made, stage1_steps=6, num_steps=6), eval_every=3)
    train(made, config, tmp_path / "whole")
    save: Any = Checkpoints.save
    saved: list[int] = []

    def killing(self: Any, state: dict[str, Any]) -> None:
        save(self, state)
        saved.append(state["phase"])
        if len(saved) == kill_at:
            raise KilledError

    monkeypatch.setattr(Checkpoints, "save", killing)
    with pytest.raises(KilledError):
        train(made, config, tmp_path / "killed")
    assert saved[-1] == (0 if kill_at == 1 else 1)
    train(made, config, tmp_path / "killed")
    whole = {p.name: p.read_bytes() for p in (tmp_path / "whole").iterdir()}
    assert whole == {p.name: p.read_bytes() for p in (tmp_path / "killed").iterdir()}


def test_no_language_model_is_one_line(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"^train\.descriptors\.language: names no language"):
        train(made, config_of(made, language=""), tmp_path / "head")


def test_a_clip_alone_is_as_beside_longer_ones(made: Made, trained: Path) -> None:
    config = config_of(made)
    head = load_head(trained).head
    together = batch_of(made, config, range(6))
    options = DescriptorsScoring(condition="gold")
    scores, inner = head.scores(together, options), head.representations(together)
    for row in range(6):
        alone = batch_of(made, config, [row])
        torch.testing.assert_close(head.scores(alone, options)[0], scores[row], atol=1e-4, rtol=0)
        for name, one in head.representations(alone).items():
            torch.testing.assert_close(one[0], inner[name][row], atol=1e-5, rtol=0)
