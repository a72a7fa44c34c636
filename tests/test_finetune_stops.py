"""A fine-tuning that is stopped goes on to the same bytes, wherever it was."""

from pathlib import Path

import pytest

from helpers.extraction import tree
from helpers.tuning import save_small, save_tones, settings, tune
from pipeline.finetuning import folder
from pipeline.training.checkpoints import Checkpoints

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tones(tmp_path_factory.mktemp("tones"))


@pytest.fixture(scope="module")
def hubert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_small(tmp_path_factory.mktemp("hubert"), "hubert")


@pytest.mark.parametrize("values", [{"mixup": 0.4}, {"method": "lora", "num_blocks": 0}])
@pytest.mark.parametrize("looks", [1, 2])
def test_stopped_after_a_look_it_goes_on_to_the_same_bytes(
    tones, hubert, tmp_path, monkeypatch, looks, values
):
    config = settings(hubert, num_steps=12, max_s=0.5, **values)
    tune(tones, config, tmp_path / "whole")
    save, saved = Checkpoints.save, []

    def stop(self, state):
        save(self, state)
        saved.append(state)
        if len(saved) == looks:
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", stop)
    with pytest.raises(KeyboardInterrupt):
        tune(tones, config, tmp_path / "stopped")
    assert not (tmp_path / "stopped/config.json").exists()
    monkeypatch.setattr(Checkpoints, "save", save)
    tune(tones, config, tmp_path / "stopped")
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")


@pytest.mark.parametrize("name", ["publish_bytes", "open_encoder"])
def test_stopped_while_the_folder_is_written_it_is_none_and_then_the_same(
    tones, hubert, tmp_path, monkeypatch, name
):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(folder, name, stop)
        with pytest.raises(KeyboardInterrupt):
            tune(tones, settings(hubert), tmp_path / "out")
    assert not (tmp_path / "out/config.json").exists()
    tune(tones, settings(hubert), tmp_path / "out")
    tune(tones, settings(hubert), tmp_path / "whole")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_a_checkpoint_holds_only_what_is_trained(tones, hubert, tmp_path, monkeypatch):
    states = []
    monkeypatch.setattr(Checkpoints, "save", lambda self, state: states.append(state))
    tune(tones, settings(hubert), tmp_path / "out")
    for name in states[0]["head"]:
        assert name.startswith(("model.encoder.layers.2.", "pooling.", "classifier.")), name
