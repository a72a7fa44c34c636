"""Heads that learn from votes, and how far their scores lie from them."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.uneven_corpora import CLASSES, HEAD_CONFIGS, trained
from pipeline.evaluation.reliability import jensen_shannon
from pipeline.evaluation.standings import standing
from pipeline.manifests.manifest import Manifest
from pipeline.report.report import ReportConfig, Sources, write_report
from pipeline.report.tables import prediction_table
from pipeline.scoring.score import ScoreConfig, score_manifest
from pipeline.training.targets import vote_shares


@pytest.mark.parametrize("kind", list(HEAD_CONFIGS))
def test_votes_are_learnt_as_shares(uneven, tmp_path: Path, kind: str) -> None:
    """Half of the votes for angry clips say calm, too: no head may be sure of angry then."""
    settings = {
        "head": kind,
        "num_steps": 20,
        "eval_every": 20,
        "heads": HEAD_CONFIGS,
    }
    sure = trained(uneven, tmp_path / "sure", **settings)
    head = trained(uneven, tmp_path / "votes", targets="votes", **settings)
    # 36 angry rows with a quarter calm, 18 calm ones, 6 sad ones with a third calm.
    np.testing.assert_allclose(head.prior, [27 / 60, (9 + 18 + 2) / 60, 4 / 60], atol=1e-6)
    assert sure.prior.tolist() == pytest.approx([0.6, 0.3, 0.1])


def test_dev_needs_no_votes(uneven, tmp_path: Path) -> None:
    manifest, store = uneven
    voted = [name for name in manifest.table.columns if name.startswith("votes.")]
    table = manifest.table.copy()
    table.loc[table["split"] == "dev", voted] = np.nan
    without = Manifest(manifest.path, table, manifest.first_row)
    whole, part = (
        trained((one, store), tmp_path / name, targets="votes")
        for name, one in (("whole", manifest), ("part", without))
    )
    assert part.prior.tolist() == whole.prior.tolist()
    assert torch.equal(part.head.weight, whole.head.weight)


def test_the_distance_to_the_votes_is_among_the_scores(uneven, tmp_path: Path) -> None:
    manifest, store = uneven
    head = trained(uneven, tmp_path / "votes", targets="votes")
    found = score_manifest(manifest, {"": store}, head, ScoreConfig(), device="cpu")
    table = prediction_table({"one": found}, "test", manifest, None)
    shares = vote_shares(manifest.table, CLASSES, None)[manifest.table["split"] == "test"]
    told = table[[f"probability.{name}" for name in CLASSES]].to_numpy()
    one = standing(table, list(CLASSES), cluster="speaker")
    assert one.calibration["js"] == pytest.approx(jensen_shannon(told, shares))
    report = write_report(
        tmp_path / "r", Sources(predictions={"one": found}, manifest=manifest), ReportConfig()
    )
    assert report["one"]["test"]["js"] == one.calibration["js"]
    assert "JS to votes" in (tmp_path / "r/report.md").read_text()
    without = prediction_table({"one": found}, "test", None, None)
    assert "js" not in standing(without, list(CLASSES), cluster="clip").calibration
