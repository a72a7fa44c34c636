"""Selection by what a head watches on dev: whose clips, which targets, and what is not asked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from helpers.descriptors import Made, batch_of, config_of, make
from helpers.training import train_into
from pipeline.errors import ParamsError
from pipeline.heads.saved import load_head
from pipeline.training.config import TrainConfig

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("corpus"))


def test_what_is_watched_is_of_dev_s_clips_with_their_own_targets(made: Made, tmp_path: Path):
    config = config_of(made, num_steps=6, stage1_steps=2)
    config = replace(config, eval_every=6, standardise="none")
    selection = train_into(tmp_path, made.corpus.manifest, made.corpus.store, config)
    head = load_head(tmp_path).head
    dev = np.flatnonzero(made.corpus.manifest.table["split"] == "dev")
    batch = batch_of(made, config, dev)
    wanted = head.watch(batch, phase=head.phases(config.phase)[1])["ce"].mean().item()
    assert selection.curves["dev_ce"].iloc[-1] == pytest.approx(wanted, abs=1e-5)
    assert selection.dev.keys() == {"ua", "wa", "wf1", "macro_f1"}
    # Of other targets it would be another number.
    turned = replace(batch, targets=batch.targets.flip(1))
    other = head.watch(turned, phase=head.phases(config.phase)[1])["ce"].mean().item()
    assert abs(other - wanted) > 1e-3


@pytest.mark.parametrize(("select_by", "is_scored"), [("ce", False), ("last", True), ("ua", True)])
def test_a_look_at_dev_asks_for_what_selects_and_no_more(
    made: Made, tmp_path: Path, select_by: str, is_scored: bool
):
    config = replace(config_of(made, num_steps=2, stage1_steps=2), select_by=select_by)
    curves = train_into(tmp_path, made.corpus.manifest, made.corpus.store, config).curves
    is_watched = curves["dev_ce"].notna()
    assert is_watched[curves["phase"] == "content"].all()
    assert is_watched[curves["phase"] == "descriptors"].unique() == [select_by == "ce"]
    assert ("dev_ua" in curves.columns) == is_scored


def test_a_loss_that_not_every_step_has_is_the_mean_of_those_that_have_it(made, tmp_path: Path):
    """Steps of one clip drawn alike: transcripts in each second, answers in each other."""
    config = config_of(
        made, alternate="batches", stage1_steps=1, num_steps=1, bottleneck=False, lora_dropout=0.0
    )
    config = replace(config, eval_every=1)
    each = train_into(tmp_path / "1", made.corpus.manifest, made.corpus.store, config).curves
    both = replace(config, eval_every=2)
    whole = train_into(tmp_path / "2", made.corpus.manifest, made.corpus.store, both).curves
    first, second = each["train_loss"]
    assert whole["loss.transcript"].item() == pytest.approx(first)
    assert whole["loss.answer"].item() == pytest.approx(second)
    assert whole["train_loss"].item() == pytest.approx((first + second) / 2)


def test_a_head_that_watches_nothing_is_not_selected_by_it():
    TrainConfig(head="descriptors", select_by="ce")
    with pytest.raises(ParamsError, match=r"^train\.select_by: 'ce' is not one of"):
        TrainConfig(head="mlp", select_by="ce")
