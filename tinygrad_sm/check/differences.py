"""Slopes from differences of values: exact ones of decimals, and estimated ones of floats with a bound for what is unsure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from decimal import MAX_EMAX, MIN_EMIN, ROUND_HALF_EVEN, Context, Decimal
from itertools import pairwise
from math import inf, isfinite
from typing import Any, NamedTuple

SMOOTH, KINK, JUMP, EDGE, STEEP, UNDEFINED = "smooth", "kink", "jump", "edge", "steep", "undefined"
STEP = -20  # the exponent of the exact step: nearer than two floats ever are, so that no kink lies between them
HALVINGS = 12


class Slope(NamedTuple):
    """The slope of a function along a direction, how unsure it is, the slopes to either side, and what kind of place it is."""

    value: Any
    error: Any
    left: Any
    right: Any
    kind: str


def arithmetic(digits: int) -> Context:
    """A decimal context with so many digits in which nothing raises: an overflow is inf, 0/0 nan."""
    return Context(digits, ROUND_HALF_EVEN, MIN_EMIN, MAX_EMAX, capitals=1, clamp=0, flags=[], traps=[])


def exact_slope(values: Sequence[Decimal], step: Decimal, digits: int, largest: Decimal = Decimal(0)) -> Slope:
    """The slope of a function from its values at -2, -1, 0, 1 and 2 steps, within `arithmetic(digits)`.

    `largest` is the largest number on the way to the values, whose rounding is all that is left where they cancel to 0.

    The five-point formula (Abramowitz & Stegun 25.3.6); the three-point one, which is worse by many orders, says how unsure it
    is. Where the two sides differ, twice the step tells: it doubles the difference where the function is smooth and leaves it
    at a kink; at a jump it halves the slopes themselves. There, left and right are the slopes beside the jump.
    """
    far_left, left, here, right, far_right = values
    if not here.is_finite():
        return Slope(here * 0, Decimal("Infinity"), here * 0, here * 0, UNDEFINED)
    after, before = (right - here) / step, (here - left) / step
    rounding = max(largest, *(abs(x) for x in values if x.is_finite())) / step * Decimal(10) ** (5 - digits)
    if not (before.is_finite() and after.is_finite()):
        return _at_the_edge(values, step, rounding)
    after2, before2 = (far_right - here) / (2 * step), (here - far_left) / (2 * step)
    three, five = (before + after) / 2, (8 * (right - left) - (far_right - far_left)) / (12 * step)
    unsure = abs(five - three)
    gap, gap2 = abs(after - before), abs(after2 - before2)
    differ = gap > max(Decimal("1e-12") * max(abs(after), abs(before)), 100 * rounding) and gap2 < gap * Decimal("1.5")
    if not differ and unsure <= max(abs(three) * Decimal("1e-6"), 100 * rounding):
        return Slope(five, unsure + rounding, before, after, SMOOTH)
    wider, near = max(abs(after2), abs(before2)), max(abs(after), abs(before))
    if wider > near * Decimal("0.75"):
        return Slope(three if differ else five, unsure + rounding, before, after, KINK if differ else SMOOTH)
    kind = JUMP if wider < near * Decimal("0.51") else STEEP
    return Slope(three, unsure + rounding, (left - far_left) / step, (far_right - right) / step, kind)


def _at_the_edge(values: Sequence[Decimal], step: Decimal, rounding: Decimal) -> Slope:
    """One side of the point is outside of the domain: the slope from the other."""
    far_left, left, here, right, far_right = values
    near, far, step = (right, far_right, step) if right.is_finite() else (left, far_left, -step)
    if not (near.is_finite() and far.is_finite()):
        return Slope(here * 0, Decimal("Infinity"), here * 0, here * 0, UNDEFINED)
    one, two = (near - here) / step, (far - here) / (2 * step)
    value = 2 * one - two
    grows = abs(one) - abs(two) > max(abs(one) * Decimal("1e-6"), 100 * rounding)  # as that of x log(x) at 0, ever more slowly
    kind = STEEP if grows else EDGE
    return Slope(value, abs(value - one) + rounding, one, one, kind)


def ridders(
    phi: Callable[[float], float],
    x: float,
    noise: float,
    eps: float,
    rounded: Callable[[float], float] = float,
    side: int | None = None,
) -> tuple[float, float]:
    """The slope of phi, a function of a coordinate, at x, and what it may be wrong by; `rounded` is the coordinate's own type.

    With `side`, 1 or -1, it is that of the larger or the smaller numbers alone.

    Central differences with the steps that the floats really made, halved and extrapolated (C. Ridders, Advances in
    Engineering Software 4, 1982), from several first steps; the noise of the values, over the step, is part of the error.
    """
    scale = max(1.0, abs(x))
    best, error = 0.0, inf
    for first in dict.fromkeys((scale / 4, scale / 64, scale / 4096, abs(x) / 4)):
        estimates = [*_extrapolated(phi, x, first, noise, eps, rounded, side)]
        value, unsure = min(estimates, key=lambda found: found[1], default=(0.0, inf))
        agree = abs(value - best) <= 4 * (unsure + error)
        known = agree and error < inf
        if not agree or unsure < error:  # steps that fit the periods of a wave agree with each other: the finer ones count
            best, error = value, unsure
        if known and error <= max(1e-9, 8 * eps) * abs(best):
            break
    return best, error


def _extrapolated(
    phi: Callable[[float], float],
    x: float,
    step: float,
    noise: float,
    eps: float,
    rounded: Callable[[float], float],
    side: int | None,
) -> Iterator[tuple[float, float]]:
    row: list[float] = []
    powers = 2.0 if side else 4.0  # only what is central has no odd powers of the step
    for _ in range(HALVINGS + 1):
        high, low = (x if side == -1 else rounded(x + step)), (x if side == 1 else rounded(x - step))
        if not high > low:
            return
        up, down = phi(high), phi(low)
        step /= 2
        if not (isfinite(up) and isfinite(down)):
            row = []
            continue
        wide, here = high - low, max(noise, eps / 2 * max(abs(up), abs(down)))
        new = [(up - down) / wide]
        for j, old in enumerate(row):
            new.append(new[j] + (new[j] - old) / (powers ** (j + 1) - 1))
            unsure = max(abs(new[j + 1] - new[j]), abs(new[j + 1] - old)) + 6 * here / (wide / 2)
            yield new[j + 1], unsure
            if unsure <= max(1e-9, 8 * eps) * abs(new[j + 1]):
                return
        row = new


def sides(phi: Callable[[float], float], x: float, noise: float, rounded: Callable[[float], float] = float) -> Slope | None:
    """The two one-sided slopes where a function of floats has a kink or a jump; None where it is smooth, or nothing shows."""
    here, scale = phi(x), max(1.0, abs(x))
    seen = []
    for k in (10, 12, 14, 16, 18):
        high, low = rounded(x + scale * 2.0**-k), rounded(x - scale * 2.0**-k)
        if not low < x < high:
            break
        after, before = (phi(high) - here) / (high - x), (here - phi(low)) / (x - low)
        seen.append((abs(after - before), before, after, 8 * noise / (high - x)))
    if len(seen) < 3 or not all(isfinite(gap) for gap, *_ in seen):
        return None
    ratios = [b[0] / a[0] if a[0] else 0.0 for a, b in pairwise(seen)]  # each step is a quarter of the last
    gap, before, after, unsure = seen[-1]
    if gap <= max(unsure, 1e-6 * max(abs(before), abs(after))):
        return None
    if all(ratio > 3.0 for ratio in ratios[-2:]):
        return Slope((before + after) / 2, unsure, before, after, JUMP)
    if all(0.8 < ratio < 1.25 for ratio in ratios[-2:]):
        return Slope((before + after) / 2, unsure + abs(seen[-2][2] - after) + abs(seen[-2][1] - before), before, after, KINK)
    return None
