"""The claim 'edges below, patterns in the middle, parts above', put so that it can fail."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cnnlab.config import child_seed
from cnnlab.engine import keras
from cnnlab.explain.network import gratings, probes
from cnnlab.explain.quality import randomization

RANDOMIZATIONS = 9  # to be beyond all of them by chance, without any training: one in ten

CLAIMS = {
    "edges below": (
        "the share of orientation-selective channels is highest in the first stage, and higher "
        "there than in every randomization of the weights"
    ),
    "patterns between": (
        "the coarsest of the middle stages prefers coarser gratings than the first stage, and "
        "than every middle stage in every randomization of the weights"
    ),
    "the class becomes readable": (
        "probe accuracy is higher in the last stage than in the first, its interval above the "
        "first one's, and above that of randomized weights"
    ),
    "parts above": (
        "the strongest patches of the last stage are centred on the object by more above chance "
        "than those of the first"
    ),
}


def probed(
    model: keras.Model,
    layer_names: Sequence[str],
    training: tuple[np.ndarray, np.ndarray],
    held_out: tuple[np.ndarray, np.ndarray],
    *,
    seed: int,
) -> pd.DataFrame:
    """Return, layer by layer, how well the class can be read.

    Args:
        model: As for ``features.activations``.
        layer_names: Layers with maps (h, w, K), first to last.
        training: Images uint8 (N, S, S, 3) and labels int (N,) that fit the probes.
        held_out: Images and labels that judge them.
        seed: As for ``probes.hits``.

    Returns:
        A row a layer: probe (accuracy, 0…1) and images (held out).
    """
    fitting = probes.pooled(model, training[0], layer_names)
    judging = probes.pooled(model, held_out[0], layer_names)
    right = [
        probes.hits(fitting[name], training[1], judging[name], held_out[1], seed=seed)
        for name in layer_names
    ]
    return pd.DataFrame({"probe": np.mean(right, axis=1), "images": len(held_out[0])})


def tuned(
    model: keras.Model,
    layer_names: Sequence[str],
    *,
    size: int,
    orientations: Sequence[float] = gratings.ORIENTATIONS,
    phases: int = gratings.PHASES,
) -> pd.DataFrame:
    """Return, layer by layer, what its channels make of gratings.

    Args:
        model: As for ``features.activations``.
        layer_names: Layers with maps (h, w, K), first to last.
        size: Pixels a side of the gratings.
        orientations: Of the gratings, as for ``gratings.tuning``.
        phases: Of each, as for ``gratings.tuning``.

    Returns:
        A row a layer: layer, channels, answering (share that any grating excites), selective
        (share of all whose orientation selectivity is at least ``gratings.SELECTIVE``) and
        frequency (mean preferred one, cycles a pixel).
    """
    rows = []
    found = gratings.tuning(model, layer_names, size=size, orientations=orientations, phases=phases)
    for name, responses in found.items():
        liked = gratings.preferences(responses, orientations)
        row = {"layer": name, "channels": len(liked)}
        row |= {"answering": liked["selectivity"].notna().mean()}
        row |= {"selective": (liked["selectivity"] >= gratings.SELECTIVE).mean()}
        rows.append(row | {"frequency": liked["frequency"].mean()})
    return pd.DataFrame(rows)


def randomized(
    model: keras.Model,
    layer_names: Sequence[str],
    *,
    size: int,
    seed: int,
    times: int = RANDOMIZATIONS,
    orientations: Sequence[float] = gratings.ORIENTATIONS,
    phases: int = gratings.PHASES,
) -> pd.DataFrame:
    """Return what gratings find in the same network while its weights are randomized.

    What is found there, too, comes from the architecture: pooling alone makes for coarser stripes.

    Args:
        model: As for ``sanity.randomized``; its weights are changed meanwhile and restored.
        layer_names: As for ``tuned``.
        size: As for ``tuned``.
        seed: Decides the randomizations.
        times: How many.
        orientations: As for ``tuned``.
        phases: As for ``tuned``.

    Returns:
        A row a layer: randomized_selective (mean over all times), randomized_selective_low and
        randomized_selective_high (lowest and highest), and the same of frequency.
    """
    tables = []
    for number in range(times):  # the seed keeps the name it had, and so its draws
        with randomization.randomized(model, seed=child_seed(seed, f"scrambling/{number}")):
            table = tuned(model, layer_names, size=size, orientations=orientations, phases=phases)
            tables.append(table)
    columns = {}
    for name in ("selective", "frequency"):
        values = np.array([table[name] for table in tables])  # (times, layers)
        columns[f"randomized_{name}"] = values.mean(axis=0)
        columns[f"randomized_{name}_low"] = values.min(axis=0)
        columns[f"randomized_{name}_high"] = values.max(axis=0)
    return pd.DataFrame(columns)


def claims(stages: pd.DataFrame) -> pd.DataFrame:
    """Return whether each part of the claim holds for a network.

    Args:
        stages: A row a stage, first to last, with the columns of ``tuned``, ``randomized`` and
            ``probed``, probe_low, probe_high and randomized_probe_high (accuracies, 0…1),
            on_object and chance_on_object (shares of the patches, nan where unknown).

    Returns:
        A row for each of ``CLAIMS``: claim, support (what would count as such) and holds (True,
        False, or None where it cannot be told, as with fewer than two stages).
    """
    if len(stages) < 2:
        return _listed(dict.fromkeys(CLAIMS))
    first, last = stages.iloc[0], stages.iloc[-1]
    middle = stages.iloc[1:-1]
    above = stages["on_object"] - stages["chance_on_object"]
    # One number for the network and one for each randomization, or the ranks would not be fair.
    coarsest = [middle["frequency"].min(), middle["randomized_frequency_low"].min(skipna=False)]
    needed = {
        "edges below": [first["selective"], first["randomized_selective_high"]],
        "patterns between": [first["frequency"], *coarsest],
        "the class becomes readable": [
            *(first["probe_high"], last["probe_low"], last["randomized_probe_high"])
        ],
        "parts above": above.iloc[[0, -1]],
    }
    selective = stages["selective"].fillna(0)
    found = {
        "edges below": (selective.iloc[1:] < first["selective"]).all()
        and first["selective"] > first["randomized_selective_high"],
        "patterns between": coarsest[0] < min(first["frequency"], coarsest[1]),
        "the class becomes readable": last["probe_low"]
        > max(first["probe_high"], last["randomized_probe_high"]),
        "parts above": above.iloc[-1] > above.iloc[0],
    }
    known = {name: len(values) > 1 and np.isfinite(values).all() for name, values in needed.items()}
    return _listed({name: bool(found[name]) if known[name] else None for name in CLAIMS})


def _listed(holds: dict[str, bool | None]) -> pd.DataFrame:
    rows = [{"claim": name, "support": CLAIMS[name], "holds": holds[name]} for name in CLAIMS]
    return pd.DataFrame(rows).astype({"holds": object})
