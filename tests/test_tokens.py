"""The head of tokens: codes against their centroids as frames, padding, fusion, refusals."""

from dataclasses import asdict
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from pipeline.errors import HeadError, ParamsError
from pipeline.heads.batch import Batch, Ragged
from pipeline.heads.catalogue import build_head, head_needs
from pipeline.heads.embedding import EMBEDDINGS
from pipeline.heads.fusion import FUSIONS
from pipeline.heads.needs import FeatureShape, Shapes
from pipeline.heads.phase import OptimiserConfig, Phase
from pipeline.heads.temporal import TEMPORALS
from pipeline.heads.tokens import Tokens, TokensConfig
from pipeline.quantisation.codebooks import Codebooks
from pipeline.typed import typed

R, K, D, W, C = 3, 5, 6, 8, 4
LENGTHS = [7, 1, 4]
PHASE = Phase(name="train", num_steps=1, batch_size=3, optimiser=OptimiserConfig())
SMALL: dict[str, Any] = {"width": W, "num_heads": 2, "hidden": 10, "pooling_hidden": 5}


def shape(*, num_layers: int = R, dim: int = D, num_codes: int | None = None) -> FeatureShape:
    return FeatureShape(
        num_layers=num_layers,
        dim=dim,
        last_layer=num_layers - 1,
        input_layer=None,
        num_codes=num_codes,
    )


def codebooks(num_codes: int = K) -> Codebooks:
    draw = torch.Generator().manual_seed(7)
    return Codebooks.of_codec(torch.randn(R, num_codes, D, generator=draw))


def head(*, num_codes: int = K, is_adopted: bool = True, **section: Any) -> Tokens:
    config = TokensConfig(**SMALL | section)
    shapes: Shapes = {"acoustics": shape(num_layers=2, dim=4)}
    is_codes = config.input == "codes"
    shapes = {"tokens": shape(num_codes=num_codes if is_codes else None), **shapes}
    torch.manual_seed(3)
    made = build_head("tokens", shapes, C, config)
    assert isinstance(made, Tokens)
    if is_adopted:
        made.adopt({"tokens": codebooks(num_codes)} if is_codes else {})
    return made.eval()


def codes(lengths: list[int] = LENGTHS, num_codes: int = K) -> Ragged:
    draw = torch.Generator().manual_seed(len(lengths))
    values = torch.randint(0, num_codes, (len(lengths), max(lengths), R), generator=draw)
    ragged = Ragged(values, torch.tensor(lengths))
    return Ragged(values * ragged.mask[..., None], ragged.lengths)


def as_frames(ragged: Ragged) -> Ragged:
    """Return the centroids that stand for codes, zeros in padding."""
    frames = codebooks().look_up(ragged.values)
    return Ragged(frames * ragged.mask[..., None, None], ragged.lengths)


def batch(tokens: Ragged) -> Batch:
    size = len(tokens.lengths)
    acoustics = torch.randn(size, 2, 4, generator=torch.Generator().manual_seed(9))
    targets = functional.one_hot(torch.arange(size) % C, C).float()
    return Batch(views={"tokens": tokens, "acoustics": acoustics}, targets=targets)


def loss(made: Tokens, labelled: Batch) -> Tensor:
    draw = torch.Generator()
    values = made.loss(labelled, phase=PHASE, progress=0.0, generator=draw)
    return torch.stack(list(values.values())).sum()


@pytest.mark.parametrize("fuse_at", ["clips", "frames"])
@pytest.mark.parametrize("temporal", TEMPORALS)
def test_codes_are_worth_the_frames_that_are_their_centroids(temporal: str, fuse_at: str):
    """What codes lose against frames is quantisation, and nothing else."""
    section = {"temporal": temporal, "fuse_at": fuse_at, "acoustics": "functionals"}
    of_codes, of_frames = head(**section), head(input="frames", **section)
    mine, theirs = of_codes.state_dict(), of_frames.state_dict()
    assert mine.keys() == theirs.keys()
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)
    tokens = codes()
    read, heard = batch(tokens), batch(as_frames(tokens))
    assert_close(of_codes.scores(read, None), of_frames.scores(heard, None))
    loss(of_codes, read).backward()
    loss(of_frames, heard).backward()
    for name, parameter in of_codes.named_parameters():
        assert_close(parameter.grad, of_frames.get_parameter(name).grad)


def assert_close(found: Tensor | None, wanted: Tensor | None) -> None:
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("of_layers", [(0,), (2, 0)])
def test_an_embedding_is_the_map_of_the_normed_vector(of_layers: tuple[int, ...]):
    made = head()
    tokens = codes()
    found = made.embed(tokens.values)
    assert len(found) == R
    for layer in of_layers:
        linear = made.embed.maps.each[layer]
        for clip, length in enumerate(LENGTHS):
            for t in range(length):
                x = codebooks().centroids[layer, tokens.values[clip, t, layer]]
                normed = (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt()
                assert_close(found[layer][clip, t], linear.weight @ normed + linear.bias)


@pytest.mark.parametrize(
    ("embedding", "size"), [("centroids", None), ("learned", (R, K, W)), ("tuned", (R, K, D))]
)
def test_only_vectors_that_are_learned_are_its_own(embedding: str, size: tuple[int, ...] | None):
    made = head(embedding=embedding)
    kept = made.kept()
    trained = made.enter(PHASE)
    assert ("embed.vectors" in kept) == ("embed.vectors" in trained) == (size is not None)
    assert size is None or kept["embed.vectors"].shape == size
    loss(made, batch(codes())).backward()
    if size is not None:
        slopes = trained["embed.vectors"].grad
        assert slopes is not None
        assert slopes.abs().sum() > 0


def test_tuned_vectors_start_at_the_centroids():
    read = batch(codes())
    assert_close(head(embedding="tuned").scores(read, None), head().scores(read, None))


@pytest.mark.parametrize("embedding", ["centroids", "tuned"])
def test_without_its_codebooks_it_says_what_it_lacks(embedding: str):
    message = f"found no codebooks, wanted those that embedding '{embedding}' starts from; give"
    with pytest.raises(HeadError, match=message):
        head(embedding=embedding, is_adopted=False).scores(batch(codes()), None)
    head(embedding="learned", is_adopted=False).scores(batch(codes()), None)


def test_codebooks_of_another_size_are_refused():
    made = head(is_adopted=False)
    with pytest.raises(HeadError, match=r"shape \(3, 1, 6\), wanted \(3, 5, 6\) \(layers, codes"):
        made.adopt({"tokens": codebooks(1)})


@pytest.mark.parametrize("fuse_at", ["clips", "frames"])
@pytest.mark.parametrize("fusion", [name for name in FUSIONS if name != "none"])
@pytest.mark.parametrize("read_as", ["codes", "frames"])
@settings(max_examples=12)
@given(st.lists(st.integers(1, 6), min_size=1, max_size=4))
def test_padding_changes_no_clip(read_as: str, fusion: str, fuse_at: str, lengths: list[int]):
    made = head(input=read_as, fusion=fusion, fuse_at=fuse_at)
    tokens = codes(lengths)
    noise = torch.randint(0, K, tokens.values.shape, generator=torch.Generator().manual_seed(1))
    noisy = Ragged(torch.where(tokens.mask[..., None], tokens.values, noise), tokens.lengths)
    if read_as == "frames":
        noisy = Ragged(codebooks().look_up(noisy.values), tokens.lengths)
        tokens = as_frames(tokens)
    with torch.no_grad():
        together, disturbed = (made.scores(batch(one), None) for one in (tokens, noisy))
        assert_close(disturbed, together)
        for i, length in enumerate(lengths):
            alone = Ragged(tokens.values[i : i + 1, :length], tokens.lengths[i : i + 1])
            assert_close(made.scores(batch(alone), None)[0], together[i])


@pytest.mark.parametrize("temporal", TEMPORALS)
def test_clips_of_one_frame_have_finite_numbers_and_slopes(temporal: str):
    made = head(temporal=temporal, embedding="tuned").train()
    value = loss(made, batch(codes([1, 1])))
    value.backward()
    assert value.isfinite()
    assert all(p.grad.isfinite().all() for p in made.parameters() if p.grad is not None)


@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_one_centroid_says_nothing_and_breaks_nothing(embedding: str):
    made = head(num_codes=1, embedding=embedding, temporal="none")
    scores = made.scores(batch(codes(num_codes=1)), None)
    assert_close(scores, scores[:1].expand_as(scores))


@pytest.mark.parametrize("fusion", ["attention", "weights"])
@pytest.mark.parametrize("fuse_at", ["clips", "frames"])
def test_it_tells_how_much_each_layer_counts(fusion: str, fuse_at: str):
    made = head(fusion=fusion, fuse_at=fuse_at, layers=(7, 2, 4))
    read = batch(codes())
    found = made.extras(read, None)
    assert list(found) == ["attention.7", "attention.2", "attention.4"]
    shares = torch.stack([torch.as_tensor(found[name]) for name in found], dim=1)
    assert_close(shares, made.attention(read))
    assert_close(shares.sum(1), torch.ones(len(LENGTHS)))
    if fuse_at == "frames" and fusion == "attention":
        tokens = torch.stack([*made.embed(read.ragged("tokens").values)], dim=2)
        weights = made.fusion.weights(tokens)
        for clip, length in enumerate(LENGTHS):
            assert_close(shares[clip], weights[clip, :length].mean(0))


def test_where_nothing_is_weighed_it_tells_nothing():
    read = batch(codes())
    assert head(fusion="mean").extras(read, None) == {}
    assert head(fusion="concat").extras(read, None) == {}
    assert head(input="none", acoustics="functionals").extras(read, None) == {}


def test_acoustics_stand_beside_or_alone():
    read = batch(codes())
    beside, alone = head(acoustics="f"), head(input="none", acoustics="f")
    changed = Batch(views={**read.views, "acoustics": torch.zeros(3, 2, 4)})
    for made in (beside, alone):
        assert (made.scores(read, None) - made.scores(changed, None)).abs().max() > 1e-4
    norm, linear, _ = alone.map_acoustics
    functionals = read.views["acoustics"]
    assert isinstance(functionals, Tensor)
    mapped = linear(norm(functionals.flatten(1)))
    assert_close(alone.scores(read, None), alone.classify(mapped))


def test_what_it_reads_follows_from_its_section():
    tokens, acoustics = head_needs("tokens", TokensConfig(acoustics="f", layers=(2,)))
    assert (tokens.kind, tokens.view, tokens.layers, tokens.standardise) == (
        *("codes", "codes"),
        (2,),
        False,
    )
    assert (acoustics.kind, acoustics.view) == ("layers", "f")
    (frames,) = head_needs("tokens", TokensConfig(input="frames"))
    assert (frames.view, frames.layers, frames.standardise) == ("frames", None, True)
    (named,) = head_needs("tokens", TokensConfig(view="codes-4"))
    assert named.view == "codes-4"
    (alone,) = head_needs("tokens", TokensConfig(input="none", acoustics="f"))
    assert alone.name == "acoustics"


def test_codes_left_out_change_training_alone():
    made = head(code_dropout=0.5, dropout=0.0, temporal_dropout=0.0)
    plain = head(dropout=0.0, temporal_dropout=0.0)
    read = batch(codes())
    assert_close(made.scores(read, None), plain.scores(read, None))
    torch.manual_seed(0)
    assert (made.train().scores(read, None) - plain.train().scores(read, None)).abs().max() > 1e-4


def test_it_is_built_again_from_what_its_file_says():
    config = TokensConfig(**SMALL, layers=(0, 1, 2), acoustics="f")
    shapes = {"tokens": shape(num_codes=K), "acoustics": shape(num_layers=2, dim=4)}
    again = build_head(
        "tokens", shapes, C, typed(TokensConfig, {**asdict(config), "layers": [0, 1, 2]}, "")
    )
    assert again.config == config
    first = head(layers=(0, 1, 2), acoustics="f")
    again.adopt({"tokens": codebooks()})
    again.restore(first.kept())
    assert_close(again.eval().scores(batch(codes()), None), first.scores(batch(codes()), None))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"input": "text"}, r"train\.tokens\.input: 'text' is not one of \['codes', 'frames'"),
        ({"embedding": "fixed"}, r"embedding: 'fixed' is not one of"),
        ({"temporal": "lstm"}, r"temporal: 'lstm' is not one of"),
        ({"fusion": "sum"}, r"fusion: 'sum' is not one of"),
        ({"fuse_at": "end"}, r"fuse_at: 'end' is not one of \['clips', 'frames'\]"),
        ({"dropout": 1.0}, r"train\.tokens\.dropout: wanted at least 0 and below 1"),
        ({"hidden": 0}, r"train\.tokens\.hidden: 0 is below 1"),
        ({"width": 6}, r"width: found 6 with num_heads 4, wanted an even multiple"),
        ({"kernel_size": 4}, r"kernel_size: 4 is not odd"),
        ({"layers": (1, 1)}, r"layers: \[1, 1\] names one twice"),
        ({"input": "none"}, r"input: found 'none' without acoustics, which leaves nothing"),
    ],
)
def test_what_makes_no_head_is_refused(section: dict[str, Any], message: str):
    with pytest.raises(ParamsError, match=message):
        TokensConfig(**section)


def test_several_layers_without_fusion_are_refused():
    with pytest.raises(ParamsError, match=r"train\.tokens\.fusion: found 'none' with 3 layers"):
        head(fusion="none")
