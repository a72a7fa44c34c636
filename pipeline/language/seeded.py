"""Tiny language models with seeded weights, for the demo and tests; they know nothing but words."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.nn import functional

_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_PAD, _BEGIN, _END = range(3)
_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
_ASKED = "<|im_start|>user\nText: {sentence}<|im_end|>\n<|im_start|>assistant\n{before}"
_IGNORED = -100  # by cross-entropy
_MERGES = 400  # beside single bytes: the given words are a token or two
_SIZES = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 512,
}
_BATCH, _RATE = 16, 5e-3


def save_seeded_language_model(
    folder: Path,
    *,
    answers: Mapping[str, Sequence[str]],
    before: str = "Emotion:",
    seed: int = 0,
    num_steps: int = 60,
) -> None:
    """Save a Llama of two blocks with tokeniser and chat template, taught to answer in words.

    One with weights as they are drawn could neither read nor spell, whatever its adapters learnt.

    Args:
        folder: Where to; made if need be.
        answers: To each sentence the words that it may answer, one as likely as the other.
        before: What stands before an answer.
        seed: Of the weights, and of what it is taught with.
        num_steps: Of teaching.
    """
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.utils.logging import disable_progress_bar

    disable_progress_bar()
    words = {word for each in answers.values() for word in each}
    tokeniser = _tokeniser([*answers, *(f"{before} {word}" for word in sorted(words))])
    tokeniser.save_pretrained(folder)
    config = LlamaConfig(
        **_SIZES,
        vocab_size=len(tokeniser),
        pad_token_id=_PAD,
        bos_token_id=_BEGIN,
        eos_token_id=_END,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        _teach(model, tokeniser, answers, before, num_steps)
    model.save_pretrained(folder)


def _tokeniser(texts: Sequence[str]) -> Any:
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    size = 256 + len(_SPECIAL) + _MERGES
    # Pairs that are seen once are not merged.
    trained.train_from_iterator(
        [*texts, *texts], vocab_size=size, special_tokens=list(_SPECIAL), show_progress=False
    )
    pad, begin, end = _SPECIAL
    made = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        pad_token=pad,
        bos_token=begin,
        eos_token=end,
    )
    made.chat_template = _TEMPLATE
    return made


def _teach(
    model: Any, tokeniser: Any, answers: Mapping[str, Sequence[str]], before: str, num_steps: int
) -> None:
    """Lower the loss of whole dialogues, and once more of their answers."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=_RATE)
    pairs = [(sentence, word) for sentence, words in answers.items() for word in words]
    asked = [_ids(tokeniser, _ASKED.format(sentence=s, before=before)) for s, _ in pairs]
    said = [[*_ids(tokeniser, f" {word}"), _END] for _, word in pairs]
    ids = _padded([a + b for a, b in zip(asked, said, strict=True)], _PAD)
    wanted = _padded([[_IGNORED] * len(a) + b for a, b in zip(asked, said, strict=True)], _IGNORED)
    whole = ids.where(ids != _PAD, _IGNORED)
    # Of a sentence with many answers each is as rare as the other sentences are.
    rarity = torch.tensor([1 / len(answers[sentence]) for sentence, _ in pairs])
    for _ in range(num_steps):
        drawn = rarity.multinomial(_BATCH, replacement=True)
        logits = model(input_ids=ids[drawn]).logits[:, :-1]
        losses = [
            functional.cross_entropy(
                logits.flatten(0, 1), of[drawn, 1:].flatten(), ignore_index=_IGNORED
            )
            for of in (whole, wanted)
        ]
        optimiser.zero_grad()
        torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()


def _padded(rows: Sequence[list[int]], value: int) -> torch.Tensor:
    longest = max(map(len, rows))
    return torch.tensor([row + [value] * (longest - len(row)) for row in rows])


def _ids(tokeniser: Any, text: str) -> list[int]:
    found: list[int] = tokeniser(text, add_special_tokens=False)["input_ids"]
    return found
