"""Encoders of text: pooling by hand, a batch against each alone, what identifies one."""

from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.texts import DIM, opened, save_text_encoder
from pipeline.encoders.text import pool
from pipeline.errors import EncoderError

TEXTS = ["yes", "a quiet day", "I hate this and that and this", "all is well here", "no"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("encoders") / "bert"
    save_text_encoder(made)
    return made


def by_hand(folder: Path, text: str, max_tokens: int = 12) -> np.ndarray:
    """Return the last hidden states of a text alone, without any mask, shape (T, D)."""
    from transformers import AutoModel, AutoTokenizer

    ids = AutoTokenizer.from_pretrained(folder)(text)["input_ids"]
    if len(ids) > max_tokens:
        ids = [*ids[: max_tokens - 1], ids[-1]]
    with torch.inference_mode():
        hidden = AutoModel.from_pretrained(folder).eval()(torch.tensor([ids])).last_hidden_state
    return hidden[0].numpy()


def test_the_mean_is_that_of_a_text_s_own_hidden_states(folder: Path):
    found = opened(folder).encode(TEXTS)
    assert found.shape == (len(TEXTS), DIM)
    assert found.dtype == np.float32
    for vector, text in zip(found, TEXTS, strict=True):
        np.testing.assert_allclose(vector, by_hand(folder, text).mean(0), atol=1e-5)


def test_cls_is_the_first_hidden_state(folder: Path):
    for vector, text in zip(opened(folder, pooling="cls").encode(TEXTS), TEXTS, strict=True):
        np.testing.assert_allclose(vector, by_hand(folder, text)[0], atol=1e-5)


@pytest.mark.parametrize("family", ["bert", "roberta", "distilbert", "mpnet", "electra"])
@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_a_text_in_a_batch_has_the_vector_that_it_has_alone(tmp_path, family, pooling):
    save_text_encoder(tmp_path, family, pad_token_id=0)
    encoder = opened(tmp_path, pooling=pooling)
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS])
    np.testing.assert_allclose(encoder.encode(TEXTS), alone, atol=1e-5)
    assert np.ptp(alone, axis=0).max() > 0.01


def test_what_stands_in_padding_does_not_reach_the_mean():
    hidden, mask = torch.randn(2, 5, 3), torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 1]])
    noisy = hidden.masked_fill(mask[:, :, None] == 0, 1e6)
    torch.testing.assert_close(pool(noisy, mask, "mean")[0], hidden[0, :2].mean(0))
    torch.testing.assert_close(pool(noisy, mask, "mean")[1], hidden[1].mean(0))


def test_lengths_tell_which_texts_are_cut(folder: Path):
    encoder = opened(folder, max_tokens=6)
    long = "I hate this and that and this"
    assert encoder.lengths(["yes", "a quiet day", "quiet day here now", long]).tolist() == [
        3,
        5,
        6,
        7,
    ]
    np.testing.assert_allclose(
        encoder.encode([long])[0], by_hand(folder, long, 6).mean(0), atol=1e-5
    )


def test_weights_and_tokeniser_make_another_identity(folder: Path, tmp_path: Path):
    first = opened(folder).identity
    assert opened(folder, max_tokens=7).identity == first
    save_text_encoder(tmp_path / "a", seed=1)
    other = opened(tmp_path / "a").identity
    assert {name for name in first if first[name] != other[name]} == {"weights"}
    save_text_encoder(tmp_path / "b")
    path = tmp_path / "b" / "tokenizer.json"
    path.write_text(path.read_text().replace('"Lowercase"', '"NFC"'))
    other = opened(tmp_path / "b").identity
    assert {name for name in first if first[name] != other[name]} == {"tokeniser"}


def test_a_checkpoint_without_a_pooler_is_whole_and_one_without_a_block_is_not(tmp_path: Path):
    from safetensors.torch import load_file, save_file

    save_text_encoder(tmp_path)
    whole = opened(tmp_path)
    path = tmp_path / "model.safetensors"
    weights = load_file(path)
    kept = {name: tensor for name, tensor in weights.items() if "pooler" not in name}
    assert len(kept) < len(weights)
    save_file(kept, path, metadata={"format": "pt"})
    np.testing.assert_array_equal(opened(tmp_path).encode(TEXTS), whole.encode(TEXTS))
    assert opened(tmp_path).identity == whole.identity
    del kept["encoder.layer.1.output.dense.weight"]
    save_file(kept, path, metadata={"format": "pt"})
    with pytest.raises(EncoderError, match=r"embed\.encoder: .* lacks 1 weights of its model"):
        opened(tmp_path)


def test_another_kind_of_model_is_refused(tmp_path: Path):
    from pipeline.encoders.seeded import save_seeded_encoder

    save_seeded_encoder(tmp_path, size="tiny", seed=0)
    with pytest.raises(EncoderError, match="is a 'hubert' model, wanted one of"):
        opened(tmp_path)


@pytest.mark.parametrize(("family", "limit"), [("bert", 40), ("roberta", 39)])
@pytest.mark.parametrize("beyond", [False, True])
def test_more_tokens_than_positions_are_refused(tmp_path, family, limit, beyond):
    save_text_encoder(tmp_path, family)
    if not beyond:
        encoder = opened(tmp_path, max_tokens=limit)
        assert np.isfinite(encoder.encode(["a b c d e f " * 20])).all()
        return
    with pytest.raises(EncoderError, match=f"takes 3 to {limit} tokens, found max_tokens"):
        opened(tmp_path, max_tokens=limit + 1)
