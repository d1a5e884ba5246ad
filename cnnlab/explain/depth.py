"""The claim 'edges below, patterns in the middle, parts above', put so that it can fail."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cnnlab.engine import keras
from cnnlab.explain import gratings, probes

CLAIMS = {
    "edges below": (
        "the share of orientation-selective channels is highest in the first block, and higher "
        "there than with scrambled weights"
    ),
    "patterns between": "a middle block prefers coarser gratings than the first",
    "the class becomes readable": (
        "probe accuracy is higher in the last block than in the first, its interval above the "
        "first one's, and above that of scrambled weights"
    ),
    "parts above": (
        "the strongest patches of the last block are centred on the object by more above chance "
        "than those of the first"
    ),
}


def readings(
    model: keras.Model,
    layer_names: Sequence[str],
    training: tuple[np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
) -> pd.DataFrame:
    """Return, layer by layer, how selective the channels are and how well the class is read.

    Args:
        model: As for ``features.activations``.
        layer_names: Layers with maps (h, w, K), first to last.
        training: Images uint8 (N, S, S, 3) and labels int (N,) that fit the probes.
        held_out: Images and labels that judge them.
        seed: As for ``probes.hits``.

    Returns:
        A row a layer: layer, channels, answering (share that any grating excites), selective
        (share of all whose orientation selectivity is at least ``gratings.SELECTIVE``), frequency
        (mean preferred one, cycles a pixel), probe (accuracy, 0…1) and images (held out).
    """
    responses = gratings.tuning(model, layer_names, size=training[0].shape[1])
    fitting = probes.pooled(model, training[0], layer_names)
    judging = probes.pooled(model, held_out[0], layer_names)
    rows = []
    for name in layer_names:
        liked = gratings.preferences(responses[name])
        right = probes.hits(fitting[name], training[1], judging[name], held_out[1], seed=seed)
        row = {"layer": name, "channels": len(liked)}
        row |= {"answering": liked["selectivity"].notna().mean()}
        row |= {"selective": (liked["selectivity"] >= gratings.SELECTIVE).mean()}
        row |= {"frequency": liked["frequency"].mean()}
        rows.append(row | {"probe": right.mean(), "images": len(right)})
    return pd.DataFrame(rows)


def claims(blocks: pd.DataFrame) -> pd.DataFrame:
    """Return whether each part of the claim holds for a network.

    Args:
        blocks: A row a block, first to last, with selective and scrambled_selective (shares,
            0…1), frequency (cycles a pixel, the mean of the preferred ones), probe, probe_low,
            probe_high and scrambled_probe_high (accuracies, 0…1), on_object and chance_on_object
            (shares of the patches, nan where unknown).

    Returns:
        A row for each of ``CLAIMS``: claim, support (what would count as such) and
        holds (True, False, or None where it cannot be told).
    """
    first, last = blocks.iloc[0], blocks.iloc[-1]
    middle = blocks.iloc[1:-1]
    above = blocks["on_object"] - blocks["chance_on_object"]
    needed = {
        "edges below": [first["selective"], first["scrambled_selective"]],
        "patterns between": [first["frequency"], *middle["frequency"].iloc[:1]],
        "the class becomes readable": [first["probe_high"], last["probe_low"]],
        "parts above": above.iloc[[0, -1]],
    }
    selective = blocks["selective"].fillna(0)
    found = {
        "edges below": (selective.iloc[1:] < first["selective"]).all()
        and first["selective"] > first["scrambled_selective"],
        "patterns between": (middle["frequency"] < first["frequency"]).any(),
        "the class becomes readable": last["probe_low"]
        > max(first["probe_high"], last["scrambled_probe_high"]),
        "parts above": above.iloc[-1] > above.iloc[0],
    }
    known = {name: len(values) > 1 and np.isfinite(values).all() for name, values in needed.items()}
    rows = [
        {
            "claim": name,
            "support": CLAIMS[name],
            "holds": bool(found[name]) if known[name] else None,
        }
        for name in CLAIMS
    ]
    return pd.DataFrame(rows).astype({"holds": object})
