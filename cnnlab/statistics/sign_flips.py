"""The exact test of whether groups' net wins are as likely the other way round.

Source:
    Yang, Sun and Hardin, "A note on the tests for clustered matched-pair binary data", Biometrical
    Journal 52 (2010): the statistic (Σ D)² / Σ D² of the groups' net wins D, after Obuchowski,
    Statistics in Medicine 17 (1998), and Durkalski et al., Statistics in Medicine 22 (2003). Over
    all signs Σ D² stays as it is. Fisher, "The Design of Experiments" (1935), section 21: its
    distribution over all signs instead of χ², so that few groups are enough to trust it.
"""

import numpy as np


def sign_flips(net: np.ndarray) -> tuple[float, float]:
    """Return the share of all choices of signs whose |Σ D| is at least the one seen.

    The sums are integers, so their distribution over all 2^G choices is a convolution: exact for
    any number of groups, nothing drawn at random.

    Args:
        net: int (G,), net wins D of each group.

    Returns:
        That share, the p value in 0…1; and the least that it could be with as many groups whose D
        is not 0.

    Example:
        >>> sign_flips(np.array([3, 1, 2, 0]))  # of 8 choices, +++ and --- reach 6
        (0.25, 0.25)
    """
    sizes = np.abs(net[net != 0])
    chances = np.ones(1)  # of the sums -S, -S + 2, …, S, where S is the sum of the sizes so far
    for size in sizes:
        wider = np.zeros(len(chances) + size)
        wider[: len(chances)] += chances / 2
        wider[size:] += chances / 2
        chances = wider
    whole = int(sizes.sum())
    sums = np.arange(-whole, whole + 1, 2)
    p = float(chances[np.abs(sums) >= abs(int(net.sum()))].sum())
    return min(p, 1.0), 2.0 ** (1 - len(sizes)) if len(sizes) else 1.0
