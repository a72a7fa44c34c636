"""An encoder under training: what is trained, what a batch changes, what adapters become."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from helpers.tuning import RATE, save_small, settings, waveforms
from pipeline.errors import EncoderError, ParamsError
from pipeline.finetuning.network import WAVEFORMS, TunedEncoder, cut
from pipeline.finetuning.tuning import open_tunable
from pipeline.heads.batch import Batch, Ragged
from pipeline.sources.inference import autocast
from pipeline.training.draws import mixup
from pipeline.training.targets import one_hot
from pipeline.training.weighting import weigh_rows

FAMILIES = ("hubert", "wavlm", "wav2vec2", "data2vec-audio", "wav2vec2-bert", "whisper")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("encoders")
    return {family: save_small(root / family, family) for family in FAMILIES}


def head_of(folder: Path, **values) -> TunedEncoder:
    config = settings(folder, **values)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return TunedEncoder(open_tunable(str(folder), device="cpu"), 3, config)


def loss_of(head: TunedEncoder, clips: Ragged, seed: int = 0) -> torch.Tensor:
    targets = torch.eye(3)[torch.arange(len(clips.lengths)) % 3]
    losses = head.loss(
        Batch(views={WAVEFORMS: clips}, targets=targets),
        phase=head.config.phase,
        progress=0.0,
        generator=torch.Generator().manual_seed(seed),
    )
    return losses["cross_entropy"]


@pytest.mark.parametrize("method", ["blocks", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_step_moves_every_trained_parameter_and_no_other(folders, family, method):
    head = head_of(folders[family], method=method)
    before = {name: p.detach().clone() for name, p in head.named_parameters()}
    trained = head.enter(head.config.phase)
    head.train()
    optimiser = torch.optim.SGD(trained.values(), lr=1.0)
    sloping: set[str] = set()
    for _ in range(2):  # an adapter's A has no slope before its B is moved
        optimiser.zero_grad()
        loss_of(head, waveforms(4000, 6000, 5000)).backward()
        # A slope may be too small to show in the sum that a step makes.
        sloping |= {n for n, p in trained.items() if p.grad is not None and p.grad.any()}
        optimiser.step()
    moved = {n for n, p in head.named_parameters() if not torch.equal(p, before[n])}
    # A bias of keys changes no softmax; rounding may still move it.
    assert set(trained) - sloping <= {n for n in trained if n.endswith("k_proj.bias")}
    assert moved <= set(trained) == set(head.kept())


def test_what_is_trained_is_the_last_blocks_or_all_without_the_front(folders):
    names = set(head_of(folders["hubert"], num_blocks=2).kept())
    blocks = {n.split(".")[3] for n in names if n.startswith("model.encoder.layers.")}
    assert blocks == {"1", "2"}
    assert all(n.startswith(("model.encoder.layers", "pooling", "classifier")) for n in names)
    whole = head_of(folders["hubert"], num_blocks=0, freeze_front=False).kept()
    assert "model.feature_extractor.inner.conv_layers.0.conv.weight" in whole
    assert "model.masked_spec_embed" not in whole


@pytest.mark.parametrize("family", FAMILIES)
def test_half_precision_says_about_the_same(folders, family):
    head = head_of(folders[family]).eval()
    clips = waveforms(8000, 3000)
    with torch.inference_mode():
        wanted = head.logits(clips)
        with autocast("cpu", "bfloat16"):
            found = head.logits(clips)
    assert not torch.equal(found, wanted)
    torch.testing.assert_close(found, wanted, atol=0.05, rtol=0.05)


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_and_neighbours_change_no_clip(folders, family):
    head = head_of(folders[family]).eval()
    clips = waveforms(8000, 3000, 5001)
    with torch.inference_mode():
        together = head.logits(clips)
        spoilt = clips.values.clone()
        spoilt[~clips.mask] = 5.0
        alone = [
            head.logits(Ragged(clip[None, :n], torch.tensor([n])))[0]
            for clip, n in zip(clips.values, clips.lengths.tolist(), strict=True)
        ]
        beside_noise = head.logits(Ragged(spoilt, clips.lengths))
    torch.testing.assert_close(together, torch.stack(alone), atol=2e-5, rtol=1e-4)
    assert torch.equal(together, beside_noise)


@pytest.mark.parametrize("family", ["hubert", "wavlm", "wav2vec2-bert", "whisper"])
def test_merged_adapters_say_what_the_adapted_encoder_says(folders, family):
    head = head_of(folders[family], method="lora", num_blocks=2)
    with torch.no_grad():
        for name, parameter in head.named_parameters():
            if "lora_" in name:
                parameter.normal_(0.0, 0.3, generator=torch.Generator().manual_seed(len(name)))
    plain = open_tunable(str(folders[family]), device="cpu")
    clips = waveforms(6000, 4000)
    head.eval()
    with torch.inference_mode():
        before = plain.run(clips.values, [6000, 4000])[:, :10]
        state = plain.model.state_dict()
        for name, weight in head.tuned_weights().items():
            state[name].copy_(weight)
        adapted = head._encoder.run(clips.values, [6000, 4000])[:, :10]
        merged = plain.run(clips.values, [6000, 4000])[:, :10]
    assert not torch.allclose(before, merged, atol=1e-2)
    torch.testing.assert_close(adapted, merged, atol=1e-5, rtol=1e-4)


def test_frozen_parts_drop_nothing_out_in_training(folders):
    head = head_of(folders["hubert"]).train()
    off = [m for m in head.model.modules() if isinstance(m, torch.nn.Dropout) and not m.training]
    on = [m for m in head.model.modules() if isinstance(m, torch.nn.Dropout) and m.training]
    inside = {id(m) for m in head._blocks[0].modules()}
    assert off
    assert {id(m) for m in on} <= inside


@pytest.mark.parametrize("family", ["hubert", "wav2vec2", "whisper"])
def test_all_trained_nothing_is_drawn_but_from_torch_s_generator(folders, family):
    head = head_of(folders[family], num_blocks=0, freeze_front=False).train()
    losses = set()
    for numpy_seed in range(3):
        torch.manual_seed(0)
        np.random.seed(numpy_seed)
        losses.add(loss_of(head, waveforms(9000, 6000)).item())
    assert len(losses) == 1
    assert not head.model.training


def test_checkpointed_gradients_are_those_of_the_plain_way(folders):
    gradients = []
    for flag in (False, True):
        head = head_of(folders["hubert"], num_blocks=2, gradient_checkpointing=flag).train()
        torch.manual_seed(3)
        loss_of(head, waveforms(4000, 6000, 5000)).backward()
        gradients.append([p.grad for p in head.enter(head.config.phase).values()])
    for plain, checkpointed in zip(*gradients, strict=True):
        torch.testing.assert_close(plain, checkpointed)


def test_long_clips_are_cut_to_the_middle_or_to_a_stretch_that_is_drawn():
    clips = waveforms(100, 40, 51)
    values, lengths = cut(clips, 50, None)
    assert lengths == [50, 40, 50]
    assert torch.equal(values[0], clips.values[0, 25:75])
    assert torch.equal(values[1, :40], clips.values[1, :40])
    drawn = set()
    for seed in range(300):
        values, _ = cut(clips, 50, torch.Generator().manual_seed(seed))
        (start,) = [s for s in range(51) if torch.equal(values[0], clips.values[0, s : s + 50])]
        drawn.add(start)
        assert torch.equal(values[1, :40], clips.values[1, :40])
    assert {0, 50} <= drawn


def test_each_step_draws_its_own_stretch_and_dev_always_the_same(folders):
    head = head_of(folders["hubert"], max_s=0.5).eval()
    clips = waveforms(2 * RATE)
    losses = [loss_of(head, clips, seed).item() for seed in (0, 1, 0)]
    assert losses[0] == losses[2] != losses[1]
    batch = Batch(views={WAVEFORMS: clips})
    assert torch.equal(head.scores(batch, None), head.scores(batch, None))


def test_classes_count_as_one_over_their_clips():
    labels = np.array([0, 0, 0, 0, 1, 1, 2, 0])
    weighting = weigh_rows(one_hot(labels, 3), ["x"] * 8, balance="loss", corpus_temperature=1.0)
    wanted = [8 / (3 * (labels == label).sum()) for label in labels]
    np.testing.assert_allclose(weighting.weight, wanted)
    batch = Batch(views={}, weights=torch.from_numpy(weighting.weight).float())
    logits = torch.randn(8, 3, generator=torch.Generator().manual_seed(0))
    plain = functional.cross_entropy(logits, torch.from_numpy(labels), reduction="none")
    torch_s = functional.cross_entropy(
        logits, torch.from_numpy(labels), weight=torch.tensor([8 / 15, 8 / 6, 8 / 3])
    )
    torch.testing.assert_close(batch.weighted_mean(plain), torch_s)


def test_waveforms_are_mixed_as_far_as_both_go():
    clips = waveforms(6, 4, 9)
    targets = torch.eye(3)
    mixed, mixed_targets = mixup({"w": clips}, targets, alpha=0.7, step=2, seed=5)
    for i, row in enumerate(mixed["w"].values):
        j = (
            next(k for k in range(3) if k != i and mixed_targets[i, k] > 0)
            if (mixed_targets[i, i] < 1)
            else i
        )
        share = mixed_targets[i, i]
        n, shared = int(clips.lengths[i]), int(min(clips.lengths[i], clips.lengths[j]))
        wanted = share * clips.values[i, :shared] + (1 - share) * clips.values[j, :shared]
        torch.testing.assert_close(row[:shared], wanted)
        assert torch.equal(row[shared:n], clips.values[i, shared:n])
        assert not row[n:].any()
    assert torch.equal(mixed["w"].lengths, clips.lengths)


@pytest.mark.parametrize(
    ("family", "values", "message"),
    [
        ("hubert", {"num_blocks": 4}, "num_blocks: 4, but the encoder .* has 3 blocks"),
        ("hubert", {"method": "lora", "lora_targets": ("w",)}, "'w' is no linear layer"),
        (
            "wavlm",
            {"method": "lora", "lora_targets": ("q_proj",)},
            r"'q_proj' of a wavlm is read past its layer.*take some of \['gru_rel",
        ),
    ],
)
def test_what_an_encoder_has_not_is_refused(folders, family, values, message):
    with pytest.raises(ParamsError, match=message):
        head_of(folders[family], **values)


def test_without_peft_adapters_are_refused_in_one_line(folders, monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ParamsError, match=r"needs the package peft.*genser\[lora\]"):
        head_of(folders["hubert"], method="lora")


@pytest.mark.parametrize(
    ("spelling", "message"),
    [
        ("no/encoder", r"finetune\.encoder: no/encoder: no such folder"),
        ("fbank", "fbank cannot be fine-tuned, wanted a HuBERT"),
    ],
)
def test_an_encoder_that_cannot_be_tuned_is_refused(spelling, message):
    with pytest.raises(EncoderError, match=message):
        open_tunable(spelling, device="cpu")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"method": "prompt"}, "finetune.method: 'prompt' is not one of"),
        ({"select_by": "f2"}, "finetune.select_by"),
        ({"num_blocks": -1}, "finetune.num_blocks: -1 is below 0"),
        ({"lora_rank": 0}, "finetune.lora_rank: 0 is below 1"),
        ({"dropout": 1.0}, "finetune.dropout: wanted"),
        ({"freeze_front": False}, "finetune.freeze_front: False trains the whole encoder"),
        ({"learning_rate": 0.0}, "learning_rate: wanted above 0"),
        ({"learning_rate": -1.0}, r"finetune\.optimiser\.learning_rate: -1.0 is not between"),
    ],
)
def test_settings_out_of_range_are_refused(values, message):
    with pytest.raises(ParamsError, match=message):
        settings("x", **values)
