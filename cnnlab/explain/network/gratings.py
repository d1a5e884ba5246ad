"""Which orientation and which frequency a channel prefers, asked with striped pictures."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.network import features

ORIENTATIONS = tuple(range(0, 180, 15))  # degrees
FREQUENCIES = (1 / 16, 1 / 8, 1 / 4)  # cycles a pixel
PHASES = 4
GREY, CONTRAST = 127.5, 0.8
SELECTIVE = 0.3  # from here on a channel counts as selective: see ``preferences``


def gratings(
    size: int,
    orientations: Sequence[float] = ORIENTATIONS,
    frequencies: Sequence[float] = FREQUENCIES,
    phases: int = PHASES,
) -> np.ndarray:
    """Return grey stripes whose brightness is a sine wave.

    Args:
        size: Pixels a side.
        orientations: Degrees in which the brightness changes: 0 gives vertical stripes, 90
            horizontal ones, 45 stripes that rise to the right (the image's y axis points down).
        frequencies: Cycles a pixel, above 0 and at most 0.5.
        phases: Equal shifts of the stripes, which together cover a cycle.

    Returns:
        float32 (O, F, P, S, S, 3), 0…255, around mid-grey.

    Raises:
        InputError: There are no orientations, frequencies or phases, or a frequency is outside
            the range.
    """
    possible = all(0 < frequency <= 0.5 for frequency in frequencies)
    if not (len(orientations) and len(frequencies) and phases > 0 and possible):
        raise InputError(
            f"Orientations {list(orientations)}, frequencies {list(frequencies)}, {phases} phases: "
            "expected at least one of each, frequencies above 0 and at most 0.5."
        )
    angles = np.deg2rad(np.asarray(orientations, float))
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    along = np.multiply.outer(np.cos(angles), x) + np.multiply.outer(np.sin(angles), y)  # (O, S, S)
    turns = along[:, None, None] * np.reshape(frequencies, (-1, 1, 1, 1))
    waves = np.cos(2 * np.pi * (turns[:, :] + np.arange(phases)[:, None, None] / phases))
    grey = GREY * (1 + CONTRAST * waves)
    return np.repeat(grey[..., None], 3, axis=-1).astype(np.float32)


def tuning(
    model: keras.Model,
    layer_names: Sequence[str],
    *,
    size: int,
    orientations: Sequence[float] = ORIENTATIONS,
    frequencies: Sequence[float] = FREQUENCIES,
    phases: int = PHASES,
) -> dict[str, np.ndarray]:
    """Return how strongly each channel answers to each grating.

    The answer is how far the activation rises above that to a plain grey picture, averaged over
    the places and the phases; where it falls, it counts as none.

    Returns:
        Layer → float64 (K, O, F), not negative.

    Raises:
        InputError: There is no such layer, it has no maps, the model does not take images of
            this size, or the gratings cannot be made.
    """
    stripes = gratings(size, orientations, frequencies, phases)
    flat = stripes.reshape(-1, *stripes.shape[3:])
    plain = features.activations(model, np.full_like(flat[:1], GREY), layer_names)
    for name, maps in plain.items():
        if maps.ndim != 4:
            raise InputError(f"Layer {name!r} gives {maps.shape}: expected maps (h, w, K).")

    def rise(maps: np.ndarray, name: str) -> np.ndarray:
        return np.maximum(maps - plain[name], 0).mean(axis=(1, 2))

    found = features.reduced(model, flat, layer_names, rise)  # (O · F · P, K)
    means = {  # (O, F, K)
        name: rises.reshape(*stripes.shape[:3], -1).mean(axis=2, dtype=np.float64)
        for name, rises in found.items()
    }
    return {name: np.moveaxis(of, -1, 0) for name, of in means.items()}


def preferences(
    responses: np.ndarray,
    orientations: Sequence[float] = ORIENTATIONS,
    frequencies: Sequence[float] = FREQUENCIES,
) -> pd.DataFrame:
    """Return what each channel prefers.

    The selectivity is one minus the circular variance of the answers at the best frequency,
    |Σ R(θ) e^(2iθ)| / Σ R(θ): 0 for a channel that answers to all orientations alike, 1 for one
    that answers to a single one. The preferred orientation is half the angle of that sum.

    Args:
        responses: float (K, O, F), from ``tuning``; the orientations cover 180° evenly.
        orientations: Degrees, as given to ``tuning``.
        frequencies: Cycles a pixel, as given to ``tuning``.

    Returns:
        A row a channel: channel, orientation (degrees, 0…180), frequency, selectivity (0…1); nan
        for one that no grating excites.

    Raises:
        InputError: The responses are not those to these orientations and frequencies.

    Source:
        Ringach, Shapley and Hawken, "Orientation selectivity in macaque V1: diversity and laminar
        dependence", Journal of Neuroscience 22, 2002: circular variance.
    """
    responses = np.asarray(responses, np.float64)
    asked = (len(orientations), len(frequencies))
    if responses.ndim != 3 or responses.shape[1:] != asked:
        raise InputError(f"Responses {responses.shape}: expected (K, {asked[0]}, {asked[1]}).")
    best = responses.sum(axis=1).argmax(axis=1)  # (K,)
    curves = responses[np.arange(len(responses)), :, best]  # (K, O)
    total = curves.sum(axis=1)
    sums = curves @ np.exp(2j * np.deg2rad(np.asarray(orientations, float)))
    silent = total <= 1e-9 * max(total.max(initial=0), 1e-9)
    share = np.divide(np.abs(sums), total, out=np.full(len(total), np.nan), where=~silent)
    return pd.DataFrame(
        {
            "channel": np.arange(len(total)),
            "orientation": np.where(silent, np.nan, np.rad2deg(np.angle(sums)) / 2 % 180),
            "frequency": np.where(silent, np.nan, np.asarray(frequencies, float)[best]),
            "selectivity": share,
        }
    )
