"""What the explanations of a network depend on, read from the network: its stages and its head."""

import numpy as np
import pandas as pd

from cnnlab import models
from cnnlab.config import InputError
from cnnlab.engine import keras
from cnnlab.explain.network import features
from cnnlab.explain.network.receptive_field import receptive_field

COLUMNS = ("layer", "places", "channels", "sees", "gated", "rectified")


def stages(model: keras.Model, size: int) -> pd.DataFrame:
    """Return the stages of a network, first to last; at most six, see ``models.stages``.

    Args:
        model: A network that takes images of this size.
        size: Pixels a side.

    Returns:
        A row a stage: layer (which ends it), places (of its maps, height × width), channels, sees
        (pixels of the receptive field, height × width; "" where it is not regular), gated
        (whether gates stand on the way), rectified (whether its maps of a noisy image have no
        negative value).
    """
    noise = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    rows = []
    for layer, maps in features.activations(model, noise, models.stages(model)).items():
        row = {"layer": layer, "places": _by(*maps.shape[1:3]), "channels": maps.shape[3]}
        try:
            field = receptive_field(model, layer, size)
        except InputError:
            row |= {"sees": "", "gated": False}
        else:
            row |= {"sees": _by(field.height.size, field.width.size), "gated": field.gated}
        rows.append(row | {"rectified": bool(maps.min() >= 0)})
    return pd.DataFrame(rows, pd.RangeIndex(1, len(rows) + 1, name="stage"), COLUMNS)


def notes(model: keras.Model, table: pd.DataFrame) -> list[str]:
    """Return what is to be kept in mind about the maps of a network, in sentences.

    Args:
        model: The network.
        table: From ``stages``.
    """
    found = [_head(model)]
    if len(table) < 2:
        found.append(f"Stages found: {len(table)}. Nothing can be compared from stage to stage.")
    if not table["rectified"][-1:].all():
        found.append(
            "The maps of its last stage have negative values. Grad-CAM++, LayerCAM and Score-CAM "
            "add maps up with positive weights, which was thought of for maps without: here their "
            "heatmap can be empty though much speaks for the class."
        )
    if table["gated"].any():
        found.append(
            "Gates weigh its channels by the whole image (squeeze-and-excitation). What a place "
            "sees is given without them: they change how much a channel counts, alike everywhere."
        )
    irregular, single = (
        table.loc[table[column] == value, "layer"].tolist()
        for column, value in (("sees", ""), ("places", _by(1, 1)))
    )
    if irregular:
        found.append(
            f"What a place sees is not regular in {', '.join(irregular)}: whole images stand for "
            "the pieces that excite its channels, and nothing is said of where."
        )
    if single:
        found.append(
            f"At this image size a single place is left in {', '.join(single)}: it can say what is "
            "in the image and not where. The heatmaps read the last stage that has more places."
        )
    return found


def _head(model: keras.Model) -> str:
    if models.pools_globally(model):
        return (
            "The network pools its last maps over all places before it decides: a channel speaks "
            "for a class or against it, alike everywhere."
        )
    return (
        "The network keeps the places of its last maps apart when it decides: a channel may speak "
        "for a class in one place and against it in another. Grad-CAM averages the two away, and "
        "what is left may be negative everywhere; HiResCAM keeps the places apart."
    )


def _by(height: int, width: int) -> str:
    return f"{height} × {width}"
