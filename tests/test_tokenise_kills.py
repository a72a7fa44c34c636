"""A tokenise that is killed ends with the bytes of an undisturbed one, and fits no layer twice."""

import itertools
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.codes import CONFIG, derive, write_corpus
from helpers.extraction import KILLED, forked, kill_at, outcome, tree
from pipeline.extraction import codebook_fit
from pipeline.store.reader import FeatureStore

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


def test_killed_at_every_touch_of_the_disk_it_ends_with_the_same_bytes(tmp_path: Path):
    undisturbed = write_corpus(tmp_path / "undisturbed", 10)
    derive(undisturbed)
    wanted = tree(undisturbed.store)
    start = write_corpus(tmp_path / "start", 10)

    def work(event: int, folder: Path) -> None:
        kill_at(event)
        derive(start._replace(store=folder))

    for event in itertools.count():
        folder = tmp_path / f"store{event}"
        shutil.copytree(start.store, folder)
        code = outcome(forked(lambda event=event, folder=folder: work(event, folder)))  # type: ignore[misc]
        if code == 0:
            break
        assert code == KILLED
        derive(start._replace(store=folder))
        assert tree(folder) == wanted, event
        shutil.rmtree(folder)
    assert event > 15
    assert tree(folder) == wanted


def test_a_layer_that_is_fitted_is_not_fitted_again_unless_it_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    fitted = []
    fit = codebook_fit.fit_kmeans

    def counted(*args, **options):
        if len(fitted) == 1 and not resumed:
            raise KeyboardInterrupt
        fitted.append(1)
        return fit(*args, **options)

    monkeypatch.setattr(codebook_fit, "fit_kmeans", counted)
    corpus = write_corpus(tmp_path / "corpus", 10)
    resumed = False
    with pytest.raises(KeyboardInterrupt):
        derive(corpus)
    (kept,) = (corpus.store / ".tokenise").rglob("*.safetensors")
    data = kept.read_bytes()
    copy = tmp_path / "copy"
    shutil.copytree(corpus.store, copy)
    resumed = True
    derive(corpus)
    assert len(fitted) == 2
    (damaged,) = (copy / ".tokenise").rglob("*.safetensors")
    damaged.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    derive(corpus._replace(store=copy))
    assert len(fitted) == 4
    assert tree(copy) == tree(corpus.store)


def test_what_is_kept_of_another_fit_is_not_taken_up(tmp_path: Path):
    corpus, other = (write_corpus(tmp_path / name, 10) for name in ("corpus", "other"))
    derive(corpus)
    derive(other, replace(CONFIG, seed=1), names={4: "of-another-seed"})
    derive(other)
    fitted = [FeatureStore.open(one.store).view("codes-4") for one in (corpus, other)]
    assert fitted[0].fitted_bytes() == fitted[1].fitted_bytes()
