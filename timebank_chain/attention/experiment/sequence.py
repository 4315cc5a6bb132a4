"""A confidence sequence: an interval that holds at every look at once, so that looking costs nothing.

For the mean of ``t`` values with standard error ``s`` the interval ``estimate +- s * m(t)`` with

    m(t)^2 = (1 + 1/x) ln((1 + x) / alpha^2),   x = t rho^2

covers the truth at all looks together with probability ``1 - alpha``, asymptotically: theorem 2.2 of I.
Waudby-Smith, D. Arbour, R. Sinha, E. H. Kennedy, A. Ramdas, "Time-uniform central limit theory and
asymptotic confidence sequences", Annals of Statistics 52 (2024), arXiv:2103.06476, whose margin ``sigma
sqrt(2 (t rho^2 + 1) / (t^2 rho^2) ln(sqrt(t rho^2 + 1) / alpha))`` this is, with ``s = sigma / sqrt(t)``.
It is Robbins' normal mixture (1970), the same as inverting the mixture sequential probability ratio test of
R. Johari, P. Koomen, L. Pekelis, D. Walsh, "Always valid inference", Operations Research 70 (2022),
arXiv:1512.04922, with mixing variance ``rho^2 sigma^2``. For a difference of arms, also after regression on
covariates, ``t`` is the members of both: M. Lindon, D. W. Ham, M. Tingley, I. Bojinov, arXiv:2210.08589.

``rho`` may be anything that does not depend on the data. It is chosen so that the interval is narrowest at
the planned horizon ``T``: there ``x = -W_{-1}(-alpha^2 / e) - 1`` (Lambert's W; setting the derivative of
``m(t)^2 / t`` by ``rho^2`` to zero gives ``x = ln((1 + x) / alpha^2)``), so ``rho^2 = x / T``.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from timebank_chain.attention.extra import need

Floats = NDArray[np.float64]


@lru_cache
def horizon_product(level: float) -> float:
    """Return ``T rho^2``, the ``x`` at which the interval is narrowest for ``level``."""
    root = need("scipy.special").lambertw(-(level**2) / math.e, k=-1)
    return float(-root.real - 1.0)


def boundary(members: Floats, planned: float, level: float) -> Floats:
    """Return how many standard errors the interval reaches to either side.

    Parameters
    ----------
    members
        Members observed at each look, both arms together; any shape, 0 gives infinity.
    planned
        Members of both arms at the planned horizon.
    level
        The chance that the truth is ever outside.
    """
    x = np.asarray(members, dtype=np.float64) * (horizon_product(level) / planned)
    with np.errstate(divide="ignore"):
        return np.sqrt((1.0 + 1.0 / x) * (np.log1p(x) - 2.0 * math.log(level)))


def always_valid_p(z: Floats, members: Floats, planned: float, level: float) -> Floats:
    """Return the p-value of each look: the least level whose interval, with this ``rho``, leaves out zero.

    ``p = sqrt(1 + x) exp(-z^2 x / (2 (1 + x)))``, at most 1; its running minimum is valid at any stop.
    """
    x = np.asarray(members, dtype=np.float64) * (horizon_product(level) / planned)
    exponent = 0.5 * np.log1p(x) - np.square(z) * x / (2.0 * (1.0 + x))
    return np.exp(np.minimum(exponent, 0.0))
