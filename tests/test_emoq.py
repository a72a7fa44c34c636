"""EmoQ, trained: what it hears and reads, its two stages, what is kept of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from helpers.emoq import Made, config_of, make
from helpers.language import save_language_model
from helpers.training import train_into
from pipeline.dataset import StoredFeatures
from pipeline.errors import HeadError, ParamsError
from pipeline.heads.batch import Batch
from pipeline.heads.catalogue import head_needs
from pipeline.heads.emoq_config import EmoQConfig, EmoQScoring
from pipeline.heads.folder import read_head_record
from pipeline.heads.saved import load_head
from pipeline.progress import Silence
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.sources.opening import open_source, views_of
from pipeline.training.checkpoints import Checkpoints
from pipeline.training.config import TrainConfig
from pipeline.training.train import train_manifest

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("corpus"))


def train(made: Made, config: TrainConfig, out: Path):
    return train_into(out, made.corpus.manifest, made.corpus.store, config)


def scored(made: Made, out: Path, **options: Any):
    config = ScoreConfig(heads={"emoq": EmoQScoring(**options)})
    stores = {"": made.corpus.store}
    return score_manifest(
        made.corpus.manifest, stores, load_head(out), config, device="cpu"
    ).table.to_pandas()


@pytest.mark.parametrize("heard", ["emoq", "both", "audio", "text"])
def test_it_learns_from_each_input(made: Made, tmp_path: Path, heard: str) -> None:
    train(made, config_of(made, input=heard, num_steps=40), tmp_path / "head")
    table = scored(made, tmp_path / "head")
    tested = table[table["split"] == "test"]
    assert (tested["predicted"] == tested["label"]).mean() > 0.9


def test_text_alone_needs_no_store(made: Made, tmp_path: Path) -> None:
    config = config_of(made, input="text", num_steps=4)
    selection = train(made, config, tmp_path / "with")
    alone = train_manifest(
        made.corpus.manifest,
        {},
        task="emotion",
        label_map=None,
        config=config,
        out=tmp_path / "without",
        allow_overlap=False,
        device="cpu",
        reporter=Silence(),
    )
    assert alone.dev == selection.dev
    assert read_head_record(tmp_path / "without").needs == ()
    predictions = score_manifest(
        made.corpus.manifest, {}, load_head(tmp_path / "without"), ScoreConfig(), device="cpu"
    )
    assert predictions.frame["predicted"].notna().all()


@pytest.mark.parametrize("mal", ["both", "focal", "scl", "none"])
def test_stage_1_has_the_losses_that_it_is_asked_for(made: Made, tmp_path: Path, mal: str) -> None:
    config = config_of(made, mal=mal, stage1_steps=4, num_steps=2)
    curves = train(made, config, tmp_path / "head").curves
    assert curves["phase"].unique().tolist() == ["mal", "answers"]
    named = {c.removeprefix("loss.") for c in curves.columns if c.startswith("loss.")}
    assert named == ({"contrastive", "focal"} if mal == "both" else set())


def test_without_stage_1_there_is_one_phase(made: Made, tmp_path: Path) -> None:
    curves = train(made, config_of(made, stage1_steps=0, num_steps=2), tmp_path / "head").curves
    assert "phase" not in curves.columns


def test_the_classifier_of_stage_1_and_the_base_are_not_kept(made: Made, tmp_path: Path) -> None:
    train(made, config_of(made, stage1_steps=2, num_steps=2), tmp_path / "head")
    (weights,) = (tmp_path / "head").glob("weights-*.safetensors")
    with safe_open(weights, "pt") as file:
        names = list(file.keys())
    assert not any("auxiliary" in name or "embed_tokens" in name for name in names)
    assert any("lora_A" in name for name in names)
    record = read_head_record(tmp_path / "head")
    assert [base.spelling for base in record.bases] == [str(made.language)]
    assert record.facts["former"] == "random"
    assert record.facts["words"] == {"calm": "calm", "angry": "angry"}
    assert record.text_sources == ("gold",)
    assert "Emotion:" in record.facts["prompt"]["after"]


def test_a_loaded_head_scores_alike(made: Made, tmp_path: Path) -> None:
    config = config_of(made, stage1_steps=2, num_steps=4)
    head = train(made, config, tmp_path / "head").head.eval()
    needs = head_needs("emoq", config.head_config)
    rows = np.arange(5)
    features = StoredFeatures(made.corpus.manifest, {"": made.corpus.store}, views_of(needs))
    source = open_source(features, rows, needs, head.columns, device="cpu")
    (batch,) = source.batches([[rows]])
    loaded = load_head(tmp_path / "head").head
    wanted = head.scores(batch, EmoQScoring())
    torch.testing.assert_close(loaded.scores(batch, EmoQScoring()), wanted, atol=0, rtol=0)


def test_the_base_never_moves(made: Made, tmp_path: Path) -> None:
    head = train(made, config_of(made, stage1_steps=2, num_steps=6), tmp_path / "head").head
    fresh = load_head(tmp_path / "head").head
    for (name, one), other in zip(
        head.model.network.named_parameters(), fresh.model.network.parameters(), strict=True
    ):
        assert torch.equal(one, other), name


class KilledError(Exception):
    pass


@pytest.mark.parametrize("kill_at", [1, 3])
def test_killed_in_either_stage_it_ends_with_the_same_bytes(
    made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kill_at: int
) -> None:
    config = replace(config_of(made, stage1_steps=8, num_steps=8), eval_every=4)
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


def test_a_label_of_two_classes_is_learnt_by_its_shares(made: Made, tmp_path: Path) -> None:
    config = config_of(made, input="text", num_steps=2)
    head = train(made, config, tmp_path / "head").head.eval()
    phase = head.phases(config.phase)[-1]
    told = {"phase": phase, "progress": 0.0, "generator": torch.Generator()}
    texts = {"text": ["Go away"]}

    def loss(*shares: float) -> float:
        targets = torch.tensor([shares])
        batch = Batch(views={}, texts=texts, targets=targets)
        return head.loss(batch, **told)["answer"].item()

    first, second = (sum(weights) for weights in head.prompt.weights)
    both = 0.25 * first * loss(1, 0) + 0.75 * second * loss(0, 1)
    assert loss(0.25, 0.75) == pytest.approx(both / (0.25 * first + 0.75 * second), rel=1e-5)


def test_who_wrote_the_texts_is_in_head_and_predictions(made: Made, tmp_path: Path) -> None:
    config = config_of(made, input="text", num_steps=2)
    train(made, config, tmp_path / "head")
    told = {"text": "Go away", "text_source": "models/whisper@0123456789ab"}
    manifest = replace(made.corpus.manifest, table=made.corpus.manifest.table.assign(**told))
    predictions = score_manifest(
        manifest, {}, load_head(tmp_path / "head"), ScoreConfig(), device="cpu"
    )
    assert predictions.metadata["head_text_sources"] == ["gold"]
    assert predictions.metadata["text_sources"] == ["models/whisper@0123456789ab"]


def test_a_text_that_is_the_same_for_all_says_nothing(made: Made, tmp_path: Path) -> None:
    table = made.corpus.manifest.table.assign(text="Kids are talking by the door")
    manifest = replace(made.corpus.manifest, table=table)
    train_into(
        tmp_path / "head", manifest, made.corpus.store, config_of(made, input="text", num_steps=20)
    )
    trained = load_head(tmp_path / "head")
    predictions = score_manifest(manifest, {}, trained, ScoreConfig(), device="cpu").frame
    assert predictions["predicted"].nunique() == 1


def test_words_of_classes_are_scored_and_said(made: Made, tmp_path: Path) -> None:
    config = config_of(made, input="text", num_steps=60, words={"calm": "peaceful"})
    train(made, config, tmp_path / "head")
    table = scored(made, tmp_path / "head", generate=True)
    assert set(table["generated"]) == {"peaceful", "angry"}
    said = table["generated"].replace("peaceful", "calm")
    assert (said == table["predicted"]).mean() > 0.95


def test_first_tokens_are_refused_where_two_words_share_one(made: Made, tmp_path: Path) -> None:
    config = config_of(made, input="text", num_steps=2, words={"calm": "xylo", "angry": "xenon"})
    train(made, config, tmp_path / "head")
    with pytest.raises(HeadError, match=r"^score.emoq.scores: first_token, but of the words"):
        scored(made, tmp_path / "head", scores="first_token")
    assert scored(made, tmp_path / "head")["predicted"].notna().all()


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"input": "video"}, r"train\.emoq\.input: 'video' is not one of"),
        ({"mal": "all"}, r"train\.emoq\.mal: 'all' is not one of"),
        ({"num_queries": 0}, r"train\.emoq\.num_queries: 0 is below 1"),
        ({"temperature": 0.0}, r"train\.emoq\.temperature: 0\.0 is not above 0"),
        ({"gamma": -1.0}, r"train\.emoq\.gamma: -1\.0 is below 0"),
        ({"lora_dropout": 1.0}, r"train\.emoq\.lora_dropout: wanted at least 0 and below 1"),
        ({"layers": (1, 1)}, r"train\.emoq\.layers: \[1, 1\] names one twice"),
    ],
)
def test_settings_out_of_range_are_one_line(section: dict[str, Any], message: str) -> None:
    with pytest.raises(ParamsError, match=f"^{message}"):
        EmoQConfig(**section)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"joy": "joy"}, r"train\.emoq\.words: names 'joy', wanted some of the classes"),
        ({"calm": "angry"}, r"train\.emoq\.words: 'angry' is for two classes"),
    ],
)
def test_words_that_do_not_fit_the_classes_are_one_line(
    made: Made, tmp_path: Path, words: dict[str, str], message: str
) -> None:
    with pytest.raises(ParamsError, match=f"^{message}"):
        train(made, config_of(made, input="text", words=words), tmp_path / "head")


def test_no_language_model_is_one_line(made: Made, tmp_path: Path) -> None:
    with pytest.raises(ParamsError, match=r"^train\.emoq\.language: names no language model"):
        train(made, config_of(made, language=""), tmp_path / "head")


def test_another_language_model_in_its_place_is_refused(made: Made, tmp_path: Path) -> None:
    folder = save_language_model(tmp_path / "language")
    config = config_of(made, input="text", num_steps=2, language=str(folder))
    train(made, config, tmp_path / "head")
    save_language_model(folder, seed=1)
    with pytest.raises(HeadError, match=r"the base model .* has digest .* which it was trained"):
        load_head(tmp_path / "head")
