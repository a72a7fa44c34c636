"""Soft tokens that say answers as bags of words: the loss, when it counts, what it teaches."""

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from helpers.descriptors import SMALL, Made, batch_of, config_of, head_of, make
from helpers.training import train_into
from pipeline.errors import ParamsError
from pipeline.heads.batch import Batch
from pipeline.heads.catalogue import head_kind
from pipeline.heads.cost import reckon
from pipeline.heads.descriptors import Descriptors
from pipeline.heads.descriptors_config import DescriptorsConfig
from pipeline.heads.needs import FeatureShape
from pipeline.heads.phase import Phase
from pipeline.heads.saved import load_head
from pipeline.language.bags import BagOfWords
from pipeline.parameters import as_kept

pytestmark = pytest.mark.usefixtures("without_waiting_for_the_disk")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make(tmp_path_factory.mktemp("corpus"))


def losses_of(head: Descriptors, batch: Batch, phase: Phase, step: int):
    made = torch.Generator().manual_seed(0)
    return head.loss(batch, phase=phase, progress=step / phase.num_steps, generator=made)


def test_it_is_what_its_formula_says_of_each_clip():
    torch.manual_seed(0)
    embeddings = torch.nn.Embedding(11, 4)
    soft = [torch.randn(3, 4), torch.randn(1, 4)]
    answers, weights = [[2, 7, 2], [5, 7]], [[1.0, 0.5, 3.0], [2.0, 1.0]]
    losses, totals = BagOfWords(embeddings)(soft, answers, weights)
    matrix = embeddings.weight.detach().double()
    mean, variance = matrix.mean(0), matrix.var(0)
    words = sorted({2, 7, 5})
    for i, one in enumerate(soft):
        told = (one.double().mean(0) - mean) / variance
        logit = {v: 6 * float(matrix[v] @ told) / 4 for v in words}
        norm = math.log(sum(map(math.exp, logit.values())))
        rarity = {v: math.log(3 / sum(v in answer for answer in answers)) for v in words}
        weighed = [w * rarity[a] for a, w in zip(answers[i], weights[i], strict=True)]
        wanted = sum(w * (norm - logit[a]) for a, w in zip(answers[i], weighed, strict=True))
        assert losses[i].item() == pytest.approx(wanted, rel=1e-5)
        assert totals[i].item() == pytest.approx(sum(weighed), rel=1e-5)


def test_a_word_of_every_answer_takes_no_room_from_those_that_differ():
    """What a soft token must be to say its word does not change with a frame around all words."""
    torch.manual_seed(0)
    embeddings = torch.nn.Embedding(40, 16)
    bag = BagOfWords(embeddings)
    frame = [30, 31, 32, 33]

    def pulls(answers: list[list[int]]) -> tuple[float, float]:
        """How far a step goes towards the words that differ, and towards the frame."""
        soft = torch.zeros(20, 16).requires_grad_()
        losses, totals = bag(list(soft[:, None]), answers, [[1.0] * len(a) for a in answers])
        (gradient,) = torch.autograd.grad((losses / totals).sum(), soft)
        told = -gradient / (bag.variance * 16)
        matrix = embeddings.weight.detach() - bag.mean
        own = (told * matrix[:20]).sum().item()
        return own, (told @ matrix[frame].T).sum().item()

    own, framed = pulls([[*frame, word] for word in range(20)])
    assert framed < 0.5 * own
    alone, _ = pulls([[word] for word in range(20)])
    assert own > 0.8 * alone


def test_a_soft_token_at_a_word_says_that_word():
    torch.manual_seed(0)
    embeddings = torch.nn.Embedding(50, 64)
    bag = BagOfWords(embeddings)
    soft = [embeddings.weight[[word]].detach() for word in range(50)]
    losses, totals = bag(soft, [[word] for word in range(50)], [[1.0]] * 50)
    assert (losses / totals).max() < 1 < math.log(50)  # of one that says nothing
    assert not list(bag.parameters())
    assert not bag.state_dict()


def test_before_all_stages_both_branches_say_their_words_and_the_model_is_not_asked(
    made: Made, monkeypatch: pytest.MonkeyPatch
):
    config = config_of(made, bag_of_words=0.5, bag_steps=3)
    head = head_of(made, config)
    batch = batch_of(made, config, range(6))
    first, *stages = head.phases(config.phase)
    assert (first.name, first.num_steps, first.batch_size) == ("words", 3, 32)
    assert [phase.name for phase in stages] == ["content", "descriptors"]
    trained = head.enter(first)
    assert {name.split(".")[1] for name in trained} == {"content", "descriptor"}
    head.train()
    monkeypatch.setattr(type(head.model.decoder), "forward", None)
    losses = losses_of(head, batch, first, 0)
    assert set(losses) == {"bag_transcript", "bag_answer", "kl_content", "kl_descriptor"}
    torch.stack(list(losses.values())).sum().backward()
    reached = {n.split(".")[1] for n, p in head.named_parameters() if p.grad is not None}
    assert reached == {"content", "descriptor"}
    assert all(p.grad is None for p in head.adapters.values())
    head.eval()
    watched = head.watch(batch, phase=first)["bag"]
    without_noise = head_of(made, config_of(made, bag_of_words=0.5, bag_steps=3, bottleneck=False))
    without_noise.load_state_dict(head.state_dict())
    found = losses_of(without_noise, batch, first, 0)["bag_answer"]
    torch.testing.assert_close(0.5 * watched.mean(), found, rtol=1e-2, atol=0)  # means, of ratios


@pytest.mark.parametrize(
    ("section", "phase", "step", "bags", "branch"),
    [
        ({}, 0, 0, {"bag_transcript"}, "content"),
        ({}, 1, 0, {"bag_answer"}, "descriptor"),
        ({}, 1, 3, set(), None),  # stage 1 done again, of the adapters alone
        ({"alternate": "batches"}, 0, 1, {"bag_answer"}, "descriptor"),
        ({"stages": "joint"}, 0, 0, {"bag_transcript", "bag_answer"}, None),
        ({"branches": "one"}, 1, 0, {"bag_answer"}, "content"),
    ],
)
def test_in_the_stages_it_counts_beside_what_the_model_says_of_branches_that_are_trained(
    made: Made, section, phase, step, bags, branch
):
    config = config_of(made, bag_of_words=1.0, **section)
    head = head_of(made, config)
    batch = batch_of(made, config, range(4))
    phase = head.phases(config.phase)[phase]
    head.enter(phase)
    head.train()
    losses = losses_of(head, batch, phase, step)
    assert {name for name in losses if name.startswith("bag")} == bags
    assert {"answer", "transcript"} & set(losses)
    if branch:
        losses[next(iter(bags))].backward()
        reached = {n.split(".")[1] for n, p in head.named_parameters() if p.grad is not None}
        assert reached == {branch}
        assert all(p.grad is None for p in head.adapters.values())


def test_a_clip_that_weighs_more_counts_more(made: Made):
    config = config_of(made, bag_of_words=1.0, bottleneck=False)
    head = head_of(made, config)
    batch = batch_of(made, config, range(4))
    phase = head.phases(config.phase)[1]
    head.enter(phase)
    plain = losses_of(head, batch, phase, 0)["bag_answer"]
    double = replace(batch, weights=torch.full((4,), 2.0))
    torch.testing.assert_close(losses_of(head, double, phase, 0)["bag_answer"], 2 * plain)


def test_few_steps_of_it_teach_soft_tokens_the_emotion_that_a_step_of_the_model_does_not(
    made: Made, tmp_path: Path
):
    config = config_of(made, num_steps=1, bag_of_words=1.0, bag_steps=60, stage1_steps=1)
    manifest, store = made.corpus
    trained = train_into(tmp_path / "with", manifest, store, config)
    curve = trained.curves.set_index("phase")["dev_bag"].dropna()
    assert list(curve.index.unique()) == ["words"]
    batch = batch_of(made, config, range(12))
    before = head_of(made, config).watch(batch, phase=trained.head.phases(config.phase)[0])
    assert curve.min() < 0.8 * before["bag"].mean().item()
    loaded = load_head(tmp_path / "with").head
    assert isinstance(loaded, Descriptors)
    assert loaded.bag is not None
    assert not any("bag" in name for name in loaded.kept())


def test_without_it_a_head_is_what_it_was(made: Made):
    config = config_of(made)
    head = head_of(made, config)
    batch = batch_of(made, config, range(4))
    phases = head.phases(config.phase)
    assert [phase.name for phase in phases] == ["content", "descriptors"]
    assert not any(name.startswith("bag") for name in losses_of(head, batch, phases[1], 0))
    assert not [name for name in as_kept(config.head_config) if name.startswith("bag")]


def test_steps_that_do_not_ask_the_model_are_not_counted_as_if_they_did(made: Made):
    shapes = {"frames": FeatureShape(num_layers=3, dim=24, last_layer=2, input_layer=0)}
    section = {**SMALL, "language": str(made.language)}
    many = {"bag_of_words": 1.0, "bag_steps": 5, "bag_batch_size": 16}
    plain, with_bags = (
        reckon(
            head_kind("descriptors").head,
            shapes,
            3,
            DescriptorsConfig(**section, **more),
            phase=config_of(made).phase,
            itemsize=4,
        )
        for more in ({}, many)
    )
    assert with_bags.activation_bytes == plain.activation_bytes


def test_scores_select_without_the_answers_cross_entropy(made: Made):
    config = config_of(made)
    head = head_of(made, config)
    batch = batch_of(made, config, range(4))
    stage1, stage2 = head.phases(config.phase)
    assert set(head.watch(batch, phase=stage1)) == {"ce"}
    assert set(head.watch(batch, phase=stage2)) == {"ce"}
    assert not head.watch(batch, phase=replace(stage2, select_by="last"))
    assert not head.watch(batch, phase=replace(stage2, select_by="ua"))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"bag_of_words": -1}, r"^train\.descriptors\.bag_of_words: -1 is below 0\.$"),
        ({"bag_steps": -1}, r"^train\.descriptors\.bag_steps: -1 is below 0\.$"),
        ({"bag_batch_size": 0}, r"^train\.descriptors\.bag_batch_size: 0 is below 1\.$"),
        ({"bag_steps": 9}, r"bag_steps: 9 steps of a loss that counts nothing; set .*bag_of_words"),
    ],
)
def test_what_cannot_be_meant_is_refused(section, message):
    with pytest.raises(ParamsError, match=message):
        DescriptorsConfig(**section)
