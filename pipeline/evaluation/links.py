"""From class scores to probabilities: the link that a head's scores go through, fitted on dev.

Logits and cosines go through a softmax with a temperature (`pipeline.evaluation.calibration`). The
projections of an estimate on the codes of classes are, if nothing is over-fitted, probabilities
already; what is left to fit is how much they are sharpened, and what is left to a class that the
estimate does not mention.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from scipy.special import log_softmax

from pipeline.errors import HeadError, ParamsError
from pipeline.evaluation.calibration import check_labels, check_scores, fit_temperature
from pipeline.evaluation.calibration import probabilities as softmax_probabilities

SOFTMAX, POWER = "softmax", "power"
LINKS = (SOFTMAX, POWER)
SHARES = "shares"  # of heads whose labels are numbers; nobody chooses it
EXPONENTS = (0.05, 1e2)  # between which q is sought
OFFSETS = (1e-6, 1.0)  # and e
_OFFSETS_TRIED = 25


@dataclass(frozen=True, kw_only=True)
class Softmax:
    """p_c ~ exp(score_c / temperature)."""

    temperature: float

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities of scores (B, C), float64, rows sum to 1."""
        return softmax_probabilities(scores, self.temperature)


@dataclass(frozen=True, kw_only=True)
class Power:
    """p_c ~ (max(score_c, 0) + offset)^exponent, of projections on class codes.

    Attributes:
        exponent: q above 0; 1 takes projections as they are.
        offset: e above 0; what a class has that the estimate does not mention.
    """

    exponent: float
    offset: float

    def __post_init__(self) -> None:
        for name, value in asdict(self).items():
            if not (np.isfinite(value) and value > 0):
                raise ParamsError(
                    f"power link: {name} {value!r} is not a finite number above 0; fit it on dev."
                )

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return probabilities of scores (B, C), float64, rows sum to 1."""
        found: np.ndarray = np.exp(self.log_probabilities(scores))
        return found

    def log_probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the logarithms of probabilities of scores (B, C), float64."""
        check_scores(scores)
        found: np.ndarray = log_softmax(self.exponent * np.log(self._raised(scores)), axis=1)
        return found

    def reweighted(self, scores: np.ndarray, factors: np.ndarray) -> np.ndarray:
        """Return scores whose probabilities are the old ones times the factors (C,), anew 1.

        Bayes' rule: (f^(1/q) (max(a, 0) + e))^q = f (max(a, 0) + e)^q. What it makes smaller than
        e is raised with all others of its clip, which changes no ratio.
        """
        changed = self._raised(scores) * factors ** (1 / self.exponent)
        least = changed.min(axis=1, keepdims=True)
        result: np.ndarray = changed * np.maximum(1.0, self.offset / least) - self.offset
        return result.astype(scores.dtype)

    def _raised(self, scores: np.ndarray) -> np.ndarray:
        raised: np.ndarray = np.maximum(scores.astype(np.float64), 0.0) + self.offset
        return raised


@dataclass(frozen=True, kw_only=True)
class Shares:
    """Of heads whose labels are numbers: scores are estimates of the shares of a scale's two ends.

    What is least wrong is drawn to the mean, the more the less is known of a clip; concordance
    wants the spread of the labels too. So positions are stretched as dev has it:

        u = offset + gain (1 + score_high - score_low) / 2

    If the ends have orthogonal codes of one norm and the scores are an estimate's projections on
    them, the fraction is the point nearest to the estimate on the line through both codes.

    Attributes:
        gain: Above 0; 1 stretches nothing.
        offset: Added.
    """

    gain: float = 1.0
    offset: float = 0.0

    def positions(self, scores: np.ndarray) -> np.ndarray:
        """Return where scores (B, 2) are on the scale, 0 low and 1 high, float64, shape (B,)."""
        raw = (1.0 + scores[:, 1].astype(np.float64) - scores[:, 0]) / 2
        found: np.ndarray = self.offset + self.gain * raw
        return found

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Return the shares of both ends, of positions between them, float64, shape (B, 2)."""
        high = np.clip(self.positions(scores), 0.0, 1.0)
        return np.stack([1.0 - high, high], axis=1)


Link = Softmax | Power | Shares


def fit_link(name: str, scores: np.ndarray, labels: np.ndarray) -> Link:
    """Fit a link to labelled scores: the one with the least mean negative log likelihood.

    Args:
        name: One of `LINKS`.
        scores: Shape (B, C), finite.
        labels: Class indices, shape (B,), int64.

    Raises:
        ShapeError: If B is 0, or scores and labels do not agree in B and C.
        HeadError: If a score is not finite, or there is no link of that name.
    """
    if name == SOFTMAX:
        return Softmax(temperature=fit_temperature(scores, labels))
    if name == POWER:
        return fit_power(scores, labels)
    raise HeadError(f"link: {name!r} is not one of {list(LINKS)}; mend the head's link.")


def fit_shares(scores: np.ndarray, positions: np.ndarray, *, stretch: bool) -> Shares:
    """Return the link of a head of numbers: with `stretch` the one of the greatest CCC.

    Of all positive stretches, that which gives predictions the mean and the deviation of the
    labels (Lin 1989: CCC = Pearson / C, C = 1 where both agree). Without two different labels, or
    predictions, nothing is stretched.

    Args:
        scores: Shape (B, 2).
        positions: Of the labels on the scale, shape (B,).
        stretch: Whether to fit anything.
    """
    raw = Shares().positions(scores)
    if not stretch or np.ptp(raw) == 0 or np.ptp(positions) == 0:
        return Shares()
    gain = float(positions.std() / raw.std())
    return Shares(gain=gain, offset=float(positions.mean() - gain * raw.mean()))


def fit_power(scores: np.ndarray, labels: np.ndarray) -> Power:
    """Find the exponent and the offset with the least mean negative log likelihood.

    For one offset the loss is convex in the exponent, a multinomial logit of one slope, so the
    search is one within the other; the outer one starts from the best of a grid. At the bounds
    stands the nearer one. Scores without a difference fit all alike, and give 1 and the middle
    offset.

    Args:
        scores: Projections, shape (B, C), finite.
        labels: Class indices, shape (B,), int64.

    Raises:
        ShapeError: If B is 0, or scores and labels do not agree in B and C.
        HeadError: If a score is not finite.
    """
    check_scores(scores)
    check_labels(scores, labels)
    tried = np.geomspace(*OFFSETS, _OFFSETS_TRIED)
    if np.all(np.maximum(scores, 0) == np.maximum(scores[:, :1], 0)):
        return Power(exponent=1.0, offset=float(tried[len(tried) // 2]))

    def best_of(log_offset: float) -> tuple[float, Power]:
        offset = float(np.exp(log_offset))

        def power(log_exponent: float) -> Power:
            return Power(exponent=float(np.exp(log_exponent)), offset=offset)

        found = _minimum(lambda x: _loss(power(x), scores, labels), *np.log(EXPONENTS))
        return _loss(power(found), scores, labels), power(found)

    losses = [best_of(x)[0] for x in np.log(tried)]
    place = int(np.argmin(losses))
    low, high = (np.log(tried[min(max(place + by, 0), len(tried) - 1)]) for by in (-1, 1))
    refined = _minimum(lambda x: best_of(x)[0], low, high)
    return min((best_of(x) for x in (np.log(tried[place]), refined)), key=lambda pair: pair[0])[1]


def link_json(link: Link) -> dict[str, Any] | None:
    """Return what a head's record keeps of a link beside its temperature: None of a softmax."""
    if isinstance(link, Softmax):
        return None
    return {"kind": POWER if isinstance(link, Power) else SHARES, **asdict(link)}


def _loss(power: Power, scores: np.ndarray, labels: np.ndarray) -> float:
    return float(-power.log_probabilities(scores)[np.arange(len(labels)), labels].mean())


def _minimum(loss: Callable[[float], float], low: float, high: float) -> float:
    """Return where a loss of one number is least between two bounds, the bounds among them."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(loss, bounds=(low, high), method="bounded", options={"xatol": 1e-6})
    return float(min((low, float(found.x), high), key=loss))
