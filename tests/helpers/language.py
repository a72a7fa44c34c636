"""A tiny language model with a tokeniser and a chat template, saved as transformers does."""

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

SENTENCES = (
    "You are an emotion recognition system. Answer with one of: joy, anger, sadness.",
    "Text: I am so happy to see you. Audio: Emotion: joy",
    "Text: Go away, I hate this. Audio: Emotion: anger",
    "Speaker: Anna. Text: They have all left. Emotion: sadness",
)
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
WITHOUT_SYSTEM = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
)


def save_tokeniser(folder: Path, template: str | None = TEMPLATE) -> None:
    """Save a byte-level tokeniser of few merges, so that rarer words are several tokens."""
    from tokenizers import ByteLevelBPETokenizer
    from transformers import PreTrainedTokenizerFast

    trained = ByteLevelBPETokenizer()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    trained.train_from_iterator(SENTENCES * 4, vocab_size=330, special_tokens=special)
    made = PreTrainedTokenizerFast(
        tokenizer_object=trained._tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        bos_token="<|im_start|>",
    )
    made.chat_template = template
    made.save_pretrained(folder)


def save_language_model(
    folder: Path,
    template: str | None = TEMPLATE,
    seed: int = 0,
    words: Sequence[str] = (),
    warm_steps: int = 150,
    answers: Sequence[Sequence[str]] = (),
) -> Path:
    """Save a Llama of two blocks, its weights random, and return its folder.

    Where `words` are given it has learnt to spell them after "Emotion:", and whole `answers` part
    by part: one frozen at random cannot, whatever its adapters learn.
    """
    from transformers import LlamaConfig, LlamaForCausalLM

    save_tokeniser(folder, template)
    config = LlamaConfig(
        vocab_size=340,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=2,
        pad_token_id=0,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = LlamaForCausalLM(config)
        if taught := [*(("Emotion:", f" {word}") for word in words), *answers]:
            _teach(model, folder, taught, warm_steps)
        model.save_pretrained(folder)
    return folder


def _teach(
    model: nn.Module, folder: Path, answers: Sequence[Sequence[str]], num_steps: int
) -> None:
    from transformers import AutoTokenizer

    tokeniser = AutoTokenizer.from_pretrained(folder)
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for step in range(num_steps):
        text = SENTENCES[step % len(SENTENCES)][step % 7 :]
        first, *rest = answers[int(torch.randint(len(answers), ()))]
        said = f"{text}<|im_end|>\n<|im_start|>assistant\n{first}"
        ids = torch.tensor(
            [
                ids
                for part in (said, *rest, "<|im_end|>")
                for ids in tokeniser(part, add_special_tokens=False).input_ids
            ]
        )
        optimiser.zero_grad()
        model(input_ids=ids[None], labels=ids[None]).loss.backward()
        optimiser.step()
