"""Which branch a step of the head of descriptors moves, and what is shown of each."""

from dataclasses import replace
from typing import Any

import pytest
import torch

from helpers.descriptors import Made, batch_of, config_of, head_of, make
from helpers.training import train_into
from pipeline.heads.base import Head
from pipeline.heads.batch import Batch
from pipeline.heads.descriptors import Descriptors
from pipeline.heads.phase import Phase

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")
CONTENT, DESCRIPTOR, LORA = "content", "descriptor", "adapters"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("corpus"))


def losses_of(head: Head, batch: Batch, phase: Phase, step: int = 0, seed: int = 0):
    return head.loss(
        batch,
        phase=phase,
        progress=step / phase.num_steps,
        generator=torch.Generator().manual_seed(seed),
    )


def reached(head: Descriptors, batch: Batch, phase: Phase, step: int) -> set[str]:
    """Return what the gradients of a step reach: branches by name, and the adapters."""
    head.enter(phase)
    head.train()
    torch.stack(list(losses_of(head, batch, phase, step).values())).sum().backward()
    own = {name.split(".")[1] for name, p in head.named_parameters() if p.grad is not None}
    return own | ({LORA} if any(p.grad is not None for p in head.adapters.values()) else set())


@pytest.mark.parametrize(
    ("section", "phase", "step", "wanted"),
    [
        ({}, 0, 0, {CONTENT, LORA}),
        ({}, 1, 0, {DESCRIPTOR, LORA}),
        ({}, 1, 3, {LORA}),
        ({"shared_layers": True}, 0, 0, {CONTENT, LORA}),
        ({"shared_layers": True}, 1, 0, {DESCRIPTOR, LORA}),
        ({"alternate": "batches"}, 0, 0, {CONTENT, LORA}),
        ({"alternate": "batches"}, 0, 1, {DESCRIPTOR, LORA}),
        ({"alternate": "batches", "shared_layers": True}, 0, 1, {DESCRIPTOR, LORA}),
        ({"stages": "joint"}, 0, 0, {CONTENT, DESCRIPTOR, LORA}),
        ({"branches": "one"}, 0, 0, {CONTENT, LORA}),
        ({"branches": "one"}, 1, 0, {CONTENT, LORA}),
        ({"bottleneck": False}, 1, 0, {DESCRIPTOR, LORA}),
    ],
)
def test_gradients_never_reach_a_branch_that_is_frozen(
    made: Made, section: dict[str, Any], phase: int, step: int, wanted: set[str]
) -> None:
    config = config_of(made, **section)
    head = head_of(made, config)
    batch = batch_of(made, config, range(4))
    assert reached(head, batch, head.phases(config.phase)[phase], step) == wanted


def test_stage_2_leaves_the_content_branch_bit_for_bit_and_in_evaluation_mode(
    made: Made, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modes: dict[str, set[bool]] = {"content": set(), "descriptors": set()}
    loss = Descriptors.loss

    def noted(self, batch, *, phase, **more):
        modes[phase.name].add(self.branches.content.training)
        return loss(self, batch, phase=phase, **more)

    monkeypatch.setattr(Descriptors, "loss", noted)
    found = []
    for num_steps in (2, 9):
        config = replace(config_of(made, stage1_steps=6, num_steps=num_steps), eval_every=3)
        out = tmp_path / str(num_steps)
        head = train_into(out, made.corpus.manifest, made.corpus.store, config).head
        found.append(dict(head.branches.named_parameters()))
    assert modes == {"content": {True}, "descriptors": {False}}
    for name, one in found[0].items():
        assert torch.equal(one, found[1][name]) == name.startswith(CONTENT), name


def test_z_is_drawn_in_training_alone_and_never_without_a_bottleneck(made: Made) -> None:
    for is_drawn in (True, False):
        config = config_of(made, bottleneck=is_drawn, lora_dropout=0.0)
        head = head_of(made, config)
        batch = batch_of(made, config, range(4))
        phase = head.phases(config.phase)[0]
        head.enter(phase)
        head.train()
        one, other = (losses_of(head, batch, phase, seed=seed) for seed in (0, 1))
        assert (one["transcript"] != other["transcript"]) == is_drawn
        assert ("kl_content" in one) == is_drawn
        watched = [head.eval().watch(batch, phase=phase)["ce"] for _ in range(2)]
        assert torch.equal(*watched)


def test_the_kl_counts_as_beta_says_at_each_step(made: Made) -> None:
    config = config_of(made, beta_first=1.0, beta_last=1e-4, lora_dropout=0.0)
    head = head_of(made, config)
    batch = batch_of(made, config, range(4))
    phase = head.phases(config.phase)[0]
    first, middle = (losses_of(head, batch, phase, step)["kl_content"] for step in (0, 20))
    torch.testing.assert_close(middle, 0.01 * first)


def test_what_is_watched_is_the_loss_of_the_same_answers(made: Made) -> None:
    """Of clips whose answers are of one length, the mean of clips is the mean of tokens."""
    config = config_of(made, bottleneck=False, lora_dropout=0.0)
    head = head_of(made, config).eval()
    batch = batch_of(made, config, [0, 2, 4])
    stage1, stage2 = head.phases(config.phase)
    for phase, name in ((stage1, "transcript"), (stage2, "answer")):
        watched = head.watch(batch, phase=phase)["ce"]
        torch.testing.assert_close(watched.mean(), losses_of(head, batch, phase)[name])


def test_a_label_of_two_classes_is_learnt_by_its_shares(made: Made) -> None:
    config = config_of(made, bottleneck=False, lora_dropout=0.0)
    head = head_of(made, config).eval()
    batch = batch_of(made, config, [0])
    phase = head.phases(config.phase)[1]

    def loss(*shares: float) -> float:
        told = Batch(views=batch.views, texts=batch.texts, targets=torch.tensor([shares]))
        return losses_of(head, told, phase)["answer"].item()

    answers = [head.prompt.answer(c, "A low, soft voice.", "They have all left.") for c in (0, 1)]
    first, second = (sum(weights) for _, weights in answers)
    both = 0.25 * first * loss(1, 0) + 0.75 * second * loss(0, 1)
    assert loss(0.25, 0.75) == pytest.approx(both / (0.25 * first + 0.75 * second), rel=1e-5)


@pytest.mark.parametrize(
    ("branches", "names"), [("two", [CONTENT, DESCRIPTOR]), ("one", [CONTENT])]
)
def test_what_is_shown_of_a_branch_is_the_mean_over_frames_of_its_means(made, branches, names):
    config = config_of(made, branches=branches)
    head = head_of(made, config).eval()
    batch = batch_of(made, config, range(5))
    frames = batch.ragged("frames")
    shown = head.representations(batch)
    assert list(shown) == names
    for name in names:
        branch = getattr(head.branches, name)
        for clip, length in enumerate(frames.lengths.tolist()):
            latent = branch.bottleneck(branch.layers(frames.values[clip : clip + 1, :length]))
            torch.testing.assert_close(shown[name][clip], latent.mean[0].mean(0))
