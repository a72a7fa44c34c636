"""The Former: padding, order, batches, gradients, layers, and what it does with no words."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers.models.roberta.modeling_roberta import RobertaEmbeddings

from helpers.berts import MAX_TOKENS, save_bert, word_tokeniser
from pipeline.errors import ParamsError
from pipeline.heads.batch import Ragged
from pipeline.heads.former import MAX_TOKENS as BERTS_MAX_TOKENS
from pipeline.heads.former import Former
from pipeline.heads.needs import FeatureShape
from pipeline.heads.query_pooling import QueryPooling

DIM = 6
TEXTS = ("I am so happy", "go", "", "they have left me")
LENGTHS = [5, 2, 7, 1]
SMALL = {"num_queries": 3, "width": 16, "num_blocks": 3, "num_heads": 4, "pooling_heads": 2}


def former(num_layers: int = 2, **options: Any) -> Former:
    torch.manual_seed(0)
    shape = FeatureShape(num_layers=num_layers, dim=DIM, last_layer=num_layers - 1, input_layer=0)
    return Former(shape, **{"tokeniser": word_tokeniser(), **SMALL, **options}).eval()


def clips(lengths: list[int], num_layers: int = 2) -> Ragged:
    draw = torch.Generator().manual_seed(sum(lengths))
    values = torch.randn(len(lengths), max(lengths), num_layers, DIM, generator=draw)
    ragged = Ragged(values, torch.tensor(lengths))
    values[~ragged.mask] = 0
    return ragged


def one(ragged: Ragged, place: int) -> Ragged:
    lengths = ragged.lengths[place : place + 1]
    return Ragged(ragged.values[place : place + 1, : int(lengths)], lengths)


@torch.no_grad()
def test_z_is_a_unit_vector_of_the_blocks_width():
    z = former()(clips(LENGTHS), TEXTS)
    assert (z.shape, z.dtype) == ((4, 16), torch.float32)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(4))


@pytest.mark.parametrize("garbage", [1e4, float("nan")])
@torch.no_grad()
def test_garbage_in_the_padding_of_frames_changes_nothing(garbage: float):
    made, frames = former(), clips(LENGTHS)
    wanted = made(frames, TEXTS)
    frames.values[~frames.mask] = garbage
    assert torch.equal(made(frames, TEXTS), wanted)


@torch.no_grad()
def test_garbage_in_the_padding_of_text_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    made, frames = former(), clips(LENGTHS)
    wanted = made(frames, TEXTS)
    tokens = made.tokens(TEXTS)
    assert not tokens.mask.all()
    tokens.ids[~tokens.mask] = 7
    tokens.positions[~tokens.mask] = 400
    monkeypatch.setattr(made, "tokens", lambda _: tokens)
    assert torch.equal(made(frames, TEXTS), wanted)


@torch.no_grad()
def test_words_are_read_at_the_positions_of_their_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made, frames = former(checkpoint=str(save_bert(tmp_path, "roberta"))), clips(LENGTHS)
    tokens, wanted = made.tokens(TEXTS), made(frames, TEXTS)
    theirs = RobertaEmbeddings.create_position_ids_from_input_ids(tokens.ids, padding_idx=1)
    assert torch.equal(tokens.positions, theirs)
    tokens.positions[tokens.mask] -= 2
    monkeypatch.setattr(made, "tokens", lambda _: tokens)
    assert (made(frames, TEXTS) - wanted).abs().max() > 1e-4


@pytest.mark.parametrize("texts", [TEXTS, None])
@torch.no_grad()
def test_a_clip_alone_is_the_clip_in_a_batch(texts: tuple[str, ...] | None):
    made, frames = former(), clips(LENGTHS)
    together = made(frames, texts)
    for place, row in enumerate(together):
        alone = made(one(frames, place), texts and texts[place : place + 1])
        torch.testing.assert_close(alone[0], row, atol=2e-6, rtol=0)


@settings(max_examples=15, deadline=None)
@given(st.permutations(range(4)))
@torch.no_grad()
def test_the_order_of_clips_is_the_order_of_vectors(order: list[int]):
    made, frames = former(), clips(LENGTHS)
    turned = Ragged(frames.values[order], frames.lengths[order])
    found = made(turned, [TEXTS[i] for i in order])
    torch.testing.assert_close(found, made(frames, TEXTS)[order], atol=2e-6, rtol=0)


@torch.no_grad()
def test_frames_words_and_their_order_all_count():
    made, frames = former(), clips([4])
    wanted = made(frames, ["go away"])
    others = [
        made(clips([5]), ["go away"]),
        made(frames, ["go me"]),
        made(frames, ["away go"]),
        made(frames, [""]),
        made(frames, None),
    ]
    assert all((other - wanted).abs().max() > 1e-5 for other in others)


@torch.no_grad()
def test_words_reach_the_queries_by_self_attention_and_frames_never_reach_words():
    made = former()
    for name, parameter in made.named_parameters():
        if ".crossattention." in name and name.endswith(("value.weight", "value.bias")):
            parameter.zero_()
    first = made(clips([4]), ["go away"])
    assert torch.equal(made(clips([6]), ["go away"]), first)
    assert (made(clips([4]), ["go me"]) - first).abs().max() > 1e-5


@torch.no_grad()
def test_several_layers_are_summed_under_softmax_weights():
    several, frames = former(num_layers=3), clips(LENGTHS, num_layers=3)
    assert several.layer_scores is not None
    several.layer_scores.copy_(torch.tensor([0.0, 1.0, -2.0]))
    weights = torch.tensor([1.0, 2.718281828, 0.135335283])
    weights = weights / weights.sum()
    single = former(num_layers=1)
    single.load_state_dict({k: v for k, v in several.state_dict().items() if k != "layer_scores"})
    summed = sum(w * frames.values[:, :, r] for r, w in enumerate(weights))
    assert isinstance(summed, Tensor)
    found = single(Ragged(summed[:, :, None], frames.lengths), TEXTS)
    torch.testing.assert_close(found, several(frames, TEXTS), atol=2e-6, rtol=0)
    assert single.layer_scores is None


def test_cross_attention_is_in_the_first_block_and_every_so_many_after_it():
    made = former(cross_every=2, num_blocks=5)
    found = [block.has_cross_attention for block in made.network.encoder.layer]
    assert found == [True, False, True, False, True]


@pytest.mark.parametrize("texts", [TEXTS, None])
def test_gradients_reach_queries_projection_layers_and_cross_attention(texts: Any):
    made = former().train()
    made(clips(LENGTHS), texts)[:, 0].sum().backward()
    silent = {n for n, p in made.named_parameters() if p.grad is None or not p.grad.any()}
    # The words' path ends in the last block, and with no words there is none.
    last = "network.encoder.layer.2."
    of_words = {n for n in silent if n.startswith((f"{last}output.", f"{last}intermediate."))}
    if texts is None:
        words = ("embeddings.word", "embeddings.position", ".output.", ".intermediate.")
        of_words = {n for n in silent if any(w in n for w in words) and ".attention." not in n}
        of_words -= {n for n in silent if ".crossattention." in n}
    assert {n for n in silent - of_words if not n.endswith("key.bias")} == set()


def test_dropout_is_off_in_evaluation_and_on_in_training():
    made, frames = former(), clips(LENGTHS)
    assert torch.equal(made(frames, TEXTS), made(frames, TEXTS))
    made.train()
    assert not torch.equal(made(frames, TEXTS), made(frames, TEXTS))


@torch.no_grad()
def test_a_clip_of_no_frames_is_the_same_whatever_computes_attention():
    made, frames = former(), clips([0, 3])
    wanted = made(frames, None)
    made.network.set_attn_implementation("eager")
    torch.testing.assert_close(made(frames, None), wanted, atol=2e-6, rtol=0)


@pytest.mark.parametrize("lengths", [[0, 3], [0, 0]])
def test_a_clip_of_no_frames_has_finite_numbers_and_slopes(lengths: list[int]):
    made = former()
    z = made(clips(lengths), ["", "go"])
    z[:, 0].sum().backward()
    assert z.isfinite().all()
    assert all(p.grad is None or p.grad.isfinite().all() for p in made.parameters())
    with torch.no_grad():
        torch.testing.assert_close(made(clips([0]), [""])[0], z[0], atol=2e-6, rtol=0)


@torch.no_grad()
def test_texts_of_no_tokens_at_all_are_as_none():
    tokeniser = word_tokeniser()
    tokeniser._tokenizer.post_processor = None
    made, frames = former(tokeniser=tokeniser), clips(LENGTHS)
    torch.testing.assert_close(made(frames, [""] * 4), made(frames, None), atol=2e-6, rtol=0)


def test_texts_are_padded_on_the_right_and_marks_that_somebody_wrote_are_plain_text():
    tokeniser = word_tokeniser()
    tokeniser.padding_side = "left"
    tokens = former(tokeniser=tokeniser).tokens(["go", "go [SEP] me"])
    assert tokens.ids[0].tolist()[:3] == tokeniser("go")["input_ids"]
    assert tokens.mask.sum(1).tolist() == [3, 7]
    assert (tokens.ids[1] == tokeniser.sep_token_id).sum() == 1


@pytest.mark.parametrize("kind", ["bert", "roberta"])
@torch.no_grad()
def test_a_text_too_long_is_cut_and_how_much_is_told(tmp_path: Path, kind: str):
    made = former(checkpoint=str(save_bert(tmp_path, kind)))
    texts = ["go " * 30, "go"]
    assert made.max_tokens == MAX_TOKENS
    assert made.tokens(texts).ids.shape == (2, MAX_TOKENS)
    assert made.tokens_cut(texts) == [32 - MAX_TOKENS, 0]
    assert made(clips([3, 2]), texts).isfinite().all()


@torch.no_grad()
def test_under_autocast_z_is_a_float32_unit_vector_near_the_exact_one():
    made, frames = former(), clips(LENGTHS)
    with torch.autocast("cpu", torch.bfloat16):
        found = made(frames, TEXTS)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.norm(dim=1), torch.ones(4))
    torch.testing.assert_close(found, made(frames, TEXTS), atol=0.02, rtol=0)


def test_a_random_one_has_its_tokeniser_s_words_and_no_base():
    made = former()
    assert made.base is None
    assert made.network.config.vocab_size == len(word_tokeniser())
    assert made.max_tokens == BERTS_MAX_TOKENS


def test_a_tokeniser_without_padding_will_do():
    tokeniser = word_tokeniser()
    tokeniser.pad_token = None
    made = former(tokeniser=tokeniser)
    assert made.network.embeddings.word_embeddings.padding_idx is None
    assert made(clips(LENGTHS), TEXTS).isfinite().all()


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(ParamsError, match=r"former_width: found 16 with former_heads 5, wanted"):
        former(num_heads=5)


@torch.no_grad()
def test_pooling_is_a_sum_of_queries_under_each_head_s_softmax():
    torch.manual_seed(0)
    pool = QueryPooling(4, 5, 3)
    states = torch.randn(2, 6, 4)
    first, last = pool.score[0], pool.score[2]
    rows = []
    for h in states:
        scores = torch.stack([last.weight @ torch.tanh(first.weight @ q + first.bias) for q in h])
        shares = scores.exp() / scores.exp().sum(0)
        rows.append(torch.cat([sum(s * q for s, q in zip(k, h, strict=True)) for k in shares.T]))
    torch.testing.assert_close(pool(states), torch.stack(rows))
    assert pool.out_width == 12
    with torch.autocast("cpu", torch.bfloat16):
        assert pool(states).dtype == torch.float32
