"""What all pictures share: canvas, colours, and how they are saved.

Drawn through matplotlib's objects on the Agg canvas, without pyplot and its global state; no time
stamp and no version is written, so the same input, matplotlib and matplotlibrc give the same bytes.
"""

import io
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text

from pipeline.files import publish_bytes

# A power of two: pixels to inches and back is exact.
DPI = 128
INK, MUTED, PAPER, EMPTY = "#1a1a1a", "#666666", "#ffffff", "#eeeeee"
# Okabe and Ito's colours, told apart by readers with any colour vision.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")


def new_figure(pixels: tuple[int, int], title: str) -> Figure:
    """Return a figure of this many pixels with a title."""
    width, height = pixels[0] / DPI, pixels[1] / DPI
    figure = Figure(figsize=(width, height), dpi=DPI, facecolor=PAPER)
    figure.set_layout_engine(ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
    # Bold 13 point needs about 0.12 inches a character; a longer title is set smaller.
    size = min(13.0, 13.0 * width / (0.12 * max(len(title), 1)))
    figure.suptitle(title, fontsize=size, fontweight="bold", color=INK)
    return figure


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure as PNG, whole or not at all."""
    for text in figure.findobj(Text):
        # Names are the user's: between dollars stands no mathematics.
        assert isinstance(text, Text)
        text.set_parse_math(False)
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    publish_bytes(path, buffer.getvalue())
