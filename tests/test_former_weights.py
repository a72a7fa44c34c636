"""A Former that begins from a BERT reads as that BERT does, and what does not fit is refused."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from helpers.berts import save_bert, word_tokeniser
from helpers.encoders import edit_json, edit_weights
from pipeline.encoders.loading import tensors_digest, tokeniser_digest
from pipeline.errors import EncoderError
from pipeline.files import fingerprint
from pipeline.heads.former import Former, Tokens
from pipeline.heads.former_weights import former_state, load_start, read_start
from pipeline.heads.needs import FeatureShape

SHAPE = FeatureShape(num_layers=1, dim=6, last_layer=0, input_layer=None)
KINDS = ("bert", "roberta", "xlm-roberta")
TEXTS = ["I am so happily", "go away", "", "they have left me so unhappily they go away"]


def former_of(folder: Path) -> Former:
    return Former(SHAPE, checkpoint=str(folder), cross_every=2).eval()


def own_states(folder: Path, tokens: Tokens) -> Tensor:
    """Return the last hidden states of the checkpoint's own model."""
    from transformers import AutoModel

    model = AutoModel.from_pretrained(folder).eval()
    return model(input_ids=tokens.ids, attention_mask=tokens.mask.long()).last_hidden_state


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_the_text_path_is_the_checkpoint_s_own_model(tmp_path: Path, kind: str):
    former = former_of(save_bert(tmp_path, kind))
    tokens = former.tokens(TEXTS)
    found = former.network(
        input_ids=tokens.ids, attention_mask=tokens.mask, position_ids=tokens.positions
    ).last_hidden_state
    wanted = own_states(tmp_path, tokens)
    torch.testing.assert_close(found[tokens.mask], wanted[tokens.mask], atol=1e-6, rtol=0)


@torch.no_grad()
def test_roberta_read_at_the_positions_of_a_bert_is_another_model(tmp_path: Path):
    former = former_of(save_bert(tmp_path, "roberta"))
    tokens = former.tokens(TEXTS)
    found = former.network(input_ids=tokens.ids, attention_mask=tokens.mask).last_hidden_state
    wanted = own_states(tmp_path, tokens)
    assert (found - wanted)[tokens.mask].abs().max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
@torch.no_grad()
def test_tokens_given_as_queries_are_read_as_the_text_is(tmp_path: Path, kind: str):
    former = former_of(save_bert(tmp_path, kind))
    tokens = former.tokens(TEXTS)
    for block in former.network.encoder.layer:
        block.has_cross_attention = False
    words = former.network.embeddings
    queries = words.word_embeddings(tokens.ids) + words.position_embeddings(tokens.positions)
    found = former.network(None, attention_mask=tokens.mask, query_embeds=queries)
    wanted = own_states(tmp_path, tokens)
    found = found.last_hidden_state[tokens.mask]
    torch.testing.assert_close(found, wanted[tokens.mask], atol=1e-6, rtol=0)


def test_every_weight_of_the_checkpoint_is_in_the_former_and_only_cross_attention_is_new(
    tmp_path: Path,
):
    from transformers import AutoModel

    former = former_of(save_bert(tmp_path))
    theirs = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False).state_dict()
    ours = former.network.state_dict()
    values = {tensor.numpy().tobytes() for tensor in ours.values()}
    lost = {name for name, tensor in theirs.items() if tensor.numpy().tobytes() not in values}
    # The two are one in the Former: words with the first type added.
    assert lost == {
        "embeddings.word_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
    }
    new = set(ours) - set(former_state(theirs))
    assert {name.split(".")[3] for name in new} == {"crossattention"}
    assert {name.split(".")[2] for name in new} == {"0", "2"}


def test_the_base_is_the_checkpoint_s_name_and_the_digest_of_tensors_and_words(tmp_path: Path):
    from transformers import AutoModel, AutoTokenizer

    base = former_of(save_bert(tmp_path)).base
    model = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False)
    assert base is not None
    assert (base.spelling, base.model) == (str(tmp_path), None)
    words = tokeniser_digest(AutoTokenizer.from_pretrained(tmp_path), "here")
    assert base.digest == fingerprint([tensors_digest(model.state_dict()), words])


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("bert", "AutoModelForPreTraining"),
        ("bert", "AutoModelForSequenceClassification"),
        ("bert", "AutoModelForQuestionAnswering"),
        ("roberta", "AutoModelForMaskedLM"),
        ("xlm-roberta", "AutoModelForTokenClassification"),
    ],
)
def test_outputs_of_a_checkpoint_s_training_are_left_out(tmp_path: Path, kind: str, name: str):
    import transformers

    start = read_start(str(save_bert(tmp_path, kind, model=getattr(transformers, name))), where="w")
    assert not [name for name in start.state if not name.startswith(("embeddings.", "encoder."))]


def test_numbers_of_positions_in_an_old_file_are_left_out(tmp_path: Path):
    save_bert(tmp_path)
    edit_weights(tmp_path, lambda w: w.update({"embeddings.position_ids": torch.arange(20)[None]}))
    former_of(tmp_path)


def refused(folder: Path) -> str:
    with pytest.raises(EncoderError) as caught:
        former_of(folder)
    message = str(caught.value)
    assert message.startswith(f"train.emoq.former: {folder}")
    assert "\n" not in message
    assert message.endswith(".")
    return message


def test_weights_without_a_place_are_refused_by_name(tmp_path: Path):
    save_bert(tmp_path)
    strange = {f"encoder.layer.{i}.adapter.weight": torch.zeros(2) for i in range(2)}
    edit_weights(tmp_path, lambda w: w.update(strange))
    assert "found 2 weights" in refused(tmp_path)
    assert "'encoder.layer.0.adapter.weight'" in refused(tmp_path)


def test_a_checkpoint_that_lacks_a_weight_is_refused_by_name(tmp_path: Path):
    name = "encoder.layer.1.output.dense.weight"
    edit_weights(save_bert(tmp_path), lambda w: w.pop(name))
    assert re.search(f"lacks 1 weights .* the first '{name}'", refused(tmp_path))


def test_models_of_other_types_are_refused_by_name(tmp_path: Path):
    from transformers import GPT2Config

    GPT2Config(n_layer=1).save_pretrained(tmp_path)
    assert "is a 'gpt2' model, wanted one of ('bert', 'roberta', 'xlm-roberta')" in refused(
        tmp_path
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"position_embedding_type": "relative_key"}, "a model of 'relative_key' positions"),
        ({"is_decoder": True}, "is a decoder, wanted an encoder"),
    ],
)
def test_models_that_read_in_another_way_are_refused(
    tmp_path: Path, changed: dict[str, Any], said: str
):
    edit_json(save_bert(tmp_path) / "config.json", **changed)
    assert said in refused(tmp_path)


def test_a_tokeniser_of_more_words_than_the_model_is_refused(tmp_path: Path):
    tokeniser = word_tokeniser()
    save_bert(tmp_path)
    tokeniser.add_tokens([f"more{i}" for i in range(30)])
    tokeniser.save_pretrained(tmp_path)
    assert "its tokeniser knows 46 tokens, its model 24" in refused(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "model.safetensors"])
def test_a_missing_or_damaged_file_is_one_line(tmp_path: Path, name: str):
    (save_bert(tmp_path) / name).write_text("{")
    message = refused(tmp_path)
    assert "name a folder with config.json, its tokenizer and weights" in message
    (tmp_path / name).unlink()
    refused(tmp_path)


def test_only_cross_attention_may_be_wanting(tmp_path: Path):
    former = former_of(save_bert(tmp_path))
    start = read_start(str(tmp_path), where="w")
    name = "encoder.layer.1.output_query.dense.bias"
    bias = start.state.pop(name)
    with pytest.raises(EncoderError, match=f"^w: x: 1 weights do not fit .* first '{name}'"):
        load_start(former.network, start, "x", where="w")
    start.state.update({name: bias, "more": bias})
    with pytest.raises(EncoderError, match=r"1 weights do not fit .* first 'more'"):
        load_start(former.network, start, "x", where="w")


def test_sizes_and_the_layer_norm_s_epsilon_are_the_checkpoint_s(tmp_path: Path):
    former = former_of(save_bert(tmp_path, "roberta"))
    theirs = json.loads((tmp_path / "config.json").read_text())
    ours = former.network.config.to_dict()
    names = ("layer_norm_eps", "vocab_size", "pad_token_id", "max_position_embeddings")
    assert [ours[name] for name in names] == [theirs[name] for name in names]
    assert (ours["encoder_hidden_size"], former.width) == (16, 16)
