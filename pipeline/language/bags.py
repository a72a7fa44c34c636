"""What soft tokens say of an answer by themselves: the loss of its words as a bag.

    logits(i, v) = 6 E_v . ((s_i - m) / var) / D
    L_i = -sum_t w_t log((N + 1) / n(a_t)) log softmax(logits(i))[a_t]

s_i is the mean of clip i's soft tokens, E the language model's embeddings, m and var their mean and
variance in each dimension. So soft tokens come to lie where the words do that are to be said of
them, which the model reads like words; the model itself is not run. The softmax is over the words
of all N answers of the batch: these are to be told apart, and it costs nothing. So a word counts by
how few of them have it, n(v): those of every sentence tell nothing, and would fill soft tokens. A
bag of words as a second loss is from Zhao et al. 2017 (1703.10960), who had a perceptron of its own
for it, and all words count alike.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from pipeline.language.answers import weighted_by_clip

# The logit of a word that soft tokens lie at; others have about 0. Of a larger one a small share of
# a token is enough to tell words apart, and the model does not hear it.
LOGIT = 6.0


class BagOfWords(nn.Module):
    """Says bags of words with a language model's embeddings; it has no weights of its own."""

    mean: Tensor
    variance: Tensor

    def __init__(self, embeddings: nn.Embedding) -> None:
        super().__init__()
        self._embeddings = (embeddings,)  # a tuple's are no submodule: they belong to the model
        variance, mean = moments(embeddings)
        self.register_buffer("mean", mean, persistent=False)
        self.register_buffer("variance", variance, persistent=False)

    def forward(
        self,
        soft: Sequence[Tensor],
        answers: Sequence[Sequence[int]],
        weights: Sequence[Sequence[float]],
    ) -> tuple[Tensor, Tensor]:
        """Return L_i and the sum of its weights, of each clip's answer, float32, shape (N,) each.

        Args:
            soft: Soft tokens of N clips, shape (S, D), S of each its own.
            answers: Token ids of each clip's answer.
            weights: Of each of those tokens.
        """
        (embeddings,) = self._embeddings
        device = self.mean.device
        clips = torch.tensor([i for i, one in enumerate(answers) for _ in one], device=device)
        said = torch.tensor([token for one in answers for token in one], device=device)
        words, said = torch.unique(said, return_inverse=True)
        means = torch.stack([one.float().mean(0) for one in soft])
        told = LOGIT * (means - self.mean) / (self.variance * embeddings.embedding_dim)
        logits = functional.linear(told.to(embeddings.weight.dtype), embeddings(words))
        having = torch.zeros(len(answers), len(words), device=device)
        having[clips, said] = 1
        rarity = ((len(answers) + 1) / having.sum(0)).log()
        weigh = rarity[said] * torch.tensor([w for one in weights for w in one], device=device)
        each = -logits.float().log_softmax(-1)[clips, said]
        return weighted_by_clip(each, weigh, clips, len(answers))


@torch.no_grad()
def moments(embeddings: nn.Embedding) -> tuple[Tensor, Tensor]:
    """Return variance and mean of embeddings in each dimension, float32, each of shape (D,)."""
    variance, mean = torch.var_mean(embeddings.weight, dim=0)
    return variance.float(), mean.float()
