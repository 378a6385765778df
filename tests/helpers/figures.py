"""What a matplotlib figure shows, read back: its texts, and whether they can be read."""

from __future__ import annotations

from itertools import combinations
from typing import Any


def every_axes(figure: Any) -> list:
    """All Axes of a figure, also those inside of others."""
    found = [*figure.axes]
    for ax in found:
        found += [child for child in ax.child_axes if child not in found]
    return found


def texts_of(figure: Any) -> list:
    """Every text that is drawn."""
    figure.draw_without_rendering()
    found = []
    for ax in every_axes(figure):
        found += [*ax.texts, ax.title]
        if ax.get_legend():
            found += ax.get_legend().get_texts()
        if ax.axison:
            for axis in (ax.xaxis, ax.yaxis):
                ticks = axis._update_ticks() if axis.get_visible() else []
                found += [axis.label, *(label for tick in ticks for label in (tick.label1, tick.label2))]
    return [text for text in found if text.get_visible() and text.get_text()]


def _box(text: Any) -> Any:
    box = text.get_window_extent()
    shrunk = min(1.0, box.width / 4, box.height / 4)  # pixels: letters seldom fill their box
    return box.padded(-shrunk)


def overlapping(figure: Any) -> list[tuple[str, str]]:
    """The pairs of texts that lie over each other."""
    boxes = [(text.get_text(), _box(text)) for text in texts_of(figure)]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.overlaps(other)]


def outside(figure: Any) -> list[str]:
    """The texts that the edge of the figure cuts."""
    whole = figure.bbox
    boxes = [(text.get_text(), _box(text)) for text in texts_of(figure)]
    return [text for text, b in boxes if not (b.x0 >= whole.x0 and b.x1 <= whole.x1 and b.y0 >= whole.y0 and b.y1 <= whole.y1)]


def unreadable(figure: Any) -> list[tuple[str, float]]:
    """The texts whose colour differs too little from the pixels around them, by WCAG's contrast of 4.5."""
    import numpy as np
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.colors import to_rgb

    texts = texts_of(figure)
    boxes = [text.get_window_extent() for text in texts]
    for text in texts:
        text.set_alpha(0.0)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()  # the background alone
    pixels = np.asarray(canvas.buffer_rgba())[::-1, :, :3] / 255
    for text in texts:
        text.set_alpha(None)
    found = []
    for text, box in zip(texts, boxes, strict=True):
        rows, columns = slice(int(box.y0), int(box.y1) + 1), slice(int(box.x0), int(box.x1) + 1)
        behind = np.median(pixels[rows, columns].reshape(-1, 3), axis=0)
        a, b = sorted(_luminance(c) for c in (to_rgb(text.get_color()), behind))
        if (b + 0.05) / (a + 0.05) < 4.5:
            found.append((text.get_text(), (b + 0.05) / (a + 0.05)))
    return found


def _luminance(rgb: Any) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    return sum(share * c for share, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))
