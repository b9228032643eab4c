"""What floating point asks of the projections: scaled metrics, margins, and NaN that spreads."""

from __future__ import annotations

import torch
from torch import Tensor

# A metric element below this part of its slice's largest counts as 0 ...
NEGLIGIBLE = 2.0**-160
# ... and is replaced by this one: the limit w → 0+ to all digits, as 2⁻²⁴⁰ / 2⁻¹⁶⁰ is far below
# float64's roundoff, while its reciprocal, and sums of them, are far from overflow.
VANISHING = 2.0**-240
# Covers the roundings of a float64 sum, in whatever order a device adds up: 8 units of roundoff.
# A point outside by less is inside; a point that is moved, is moved inside by so much.
SUM_MARGIN = 2.0**-50


def scaled(metric: Tensor) -> Tensor:
    """Rows of the metric over their largest element; zeros replaced by `VANISHING`.

    The projection does not change when a row of the metric is multiplied by a number, so the
    divisor is a constant to autograd. A row of zeros becomes a row of equal weights.
    """
    peak = metric.detach().amax(-1, keepdim=True)
    ratio = metric / torch.where(peak > 0, peak, 1.0)
    return torch.where(ratio < NEGLIGIBLE, VANISHING, ratio)


def margin(dtype: torch.dtype) -> float:
    """Relative part by which a result must be inside its set to stay there when it is rounded."""
    return SUM_MARGIN + (0.0 if dtype is torch.float64 else torch.finfo(dtype).eps / 2)


def poison(*rows: Tensor) -> Tensor:
    """(points, 1): 0 where all elements are finite, NaN elsewhere."""
    fine = torch.stack([row.detach().isfinite().all(-1, keepdim=True) for row in rows]).all(0)
    return torch.where(fine, 0.0, torch.nan).to(rows[0].dtype)
