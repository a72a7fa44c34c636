"""The auxiliary classifier of the head of descriptors: what it adds, where, and that it stays."""

from pathlib import Path

import pytest
import torch
from torch.nn import functional

from helpers.descriptors import Made, batch_of, config_of, head_of, make
from helpers.training import train_into
from pipeline.errors import ParamsError
from pipeline.heads.batch import Batch
from pipeline.heads.descriptors import Descriptors
from pipeline.heads.descriptors_config import DescriptorsConfig
from pipeline.heads.phase import Phase
from pipeline.heads.saved import load_head
from pipeline.parameters import as_kept

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("corpus"))


def losses_of(head: Descriptors, batch: Batch, phase: Phase, step: int):
    made = torch.Generator().manual_seed(0)
    return head.loss(batch, phase=phase, progress=step / phase.num_steps, generator=made)


@pytest.mark.parametrize(
    ("section", "heard"), [({}, "descriptor"), ({"branches": "one"}, "content")]
)
def test_it_names_the_class_of_what_is_shown_of_the_branch(made: Made, section, heard) -> None:
    config = config_of(made, auxiliary=0.5, **section)
    head = head_of(made, config)
    batch = batch_of(made, config, range(6))
    phase = head.phases(config.phase)[1]
    head.enter(phase)
    head.train()
    found = losses_of(head, batch, phase, 0)["auxiliary"]
    logits = head.auxiliary(head.representations(batch)[heard])
    truth = batch.targets.argmax(1)
    torch.testing.assert_close(found, 0.5 * functional.cross_entropy(logits, truth))
    shared = Batch(
        views=batch.views, texts=batch.texts, targets=batch.targets, weights=torch.arange(6.0)
    )
    each = functional.cross_entropy(logits, truth, reduction="none")
    weighed = losses_of(head, shared, phase, 0)["auxiliary"]
    torch.testing.assert_close(weighed, 0.5 * (each * torch.arange(6.0)).mean())


@pytest.mark.parametrize(
    ("section", "phase", "step", "is_asked"),
    [
        ({}, 0, 0, False),
        ({}, 1, 0, True),
        ({}, 1, 3, False),  # stage 1 done again
        ({"alternate": "batches"}, 0, 0, False),
        ({"alternate": "batches"}, 0, 1, True),
        ({"stages": "joint"}, 0, 0, True),
    ],
)
def test_it_is_asked_where_emotions_are_named_and_reaches_no_frozen_branch(
    made: Made, section, phase, step, is_asked
) -> None:
    config = config_of(made, auxiliary=1.0, **section)
    head = head_of(made, config)
    batch = batch_of(made, config, range(4))
    phase = head.phases(config.phase)[phase]
    trained = head.enter(phase)
    assert ("auxiliary.weight" in trained) == (phase.name != "content")
    head.train()
    losses = losses_of(head, batch, phase, step)
    assert ("auxiliary" in losses) == is_asked
    if is_asked:
        losses["auxiliary"].backward()
        reached = {name for name, p in head.named_parameters() if p.grad is not None}
        assert {"auxiliary.weight", "branches.descriptor.bottleneck.mean.weight"} <= reached
        assert not any(name.startswith("branches.content.") for name in reached)
        assert all(p.grad is None for p in head.adapters.values())


def test_without_it_a_head_is_what_it_was(made: Made) -> None:
    config = config_of(made)
    head = head_of(made, config)
    batch = batch_of(made, config, range(4))
    phase = head.phases(config.phase)[1]
    assert "auxiliary" not in losses_of(head, batch, phase, 0)
    assert not any("auxiliary" in name for name in (*head.kept(), *head.parts()))
    assert "auxiliary" not in as_kept(config.head_config)


def test_it_is_kept_and_counted(made: Made, tmp_path: Path) -> None:
    config = config_of(made, auxiliary=1.0, num_steps=4, stage1_steps=2)
    trained = train_into(tmp_path / "head", made.corpus.manifest, made.corpus.store, config).head
    loaded = load_head(tmp_path / "head").head
    assert isinstance(trained, Descriptors)
    assert isinstance(loaded, Descriptors)
    assert torch.equal(loaded.auxiliary.weight, trained.auxiliary.weight)
    assert loaded.parts()["auxiliary"].num == 2 * (16 + 1)


def test_less_than_none_is_refused() -> None:
    with pytest.raises(ParamsError, match=r"^train\.descriptors\.auxiliary: -1 is below 0\.$"):
        DescriptorsConfig(auxiliary=-1)
