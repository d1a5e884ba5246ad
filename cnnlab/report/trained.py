"""What a training did, in sentences made from its recipe and its history.

Notebook 03 and the model card say the same of it, whichever network and recipe a run has.
"""

import pandas as pd

from cnnlab.config import Settings
from cnnlab.training.recipe import Stage, from_settings

PROBED = (
    "Nothing is trained by steps. The layers before the head keep their weights; their features of "
    "every image outside the test set are computed once and kept in data/features. The head is "
    "fitted to those of the training images. Nothing random is left in it but the parts of the "
    "cross-validation that chooses its penalty."
)
HIDDEN = (
    "The layers before the head keep their weights; their features of every image outside the test "
    "set are computed once and kept in data/features. The head has a hidden layer and is trained "
    "on those of the training images, until the validation loss falls no more."
)
STEPPED = (
    "Training stops early by the validation loss, and the weights of the best epoch are kept; of "
    "several stages, only the last may stop early, and the best epoch is one of it."
)
FIRST_PROBED = (
    "Epoch 1 is the probe: the head alone is fitted, to features of the network as it begins. Only "
    "the last stage may stop early, by the validation loss; the weights of its best epoch are "
    "kept, or the probe's where no epoch of it has a lower validation loss."
)
RESUMES = (
    "Every epoch ends in a checkpoint, and everything random in an epoch derives from the seed and "
    "the epoch's number: a training that is interrupted and started again ends with the same "
    "weights."
)
READING = (
    "Training loss includes the L2 penalty and is measured with dropout, augmentation and all else "
    "that the recipe asks for, so it may lie above the validation loss: that is no mistake. A "
    "validation curve that turns up while training still falls is overfitting; the marked epoch is "
    "the last one before it paid off no more."
)
DOTTED = "A dotted line stands between two stages: another set of layers learns, or at another rate"
ONE_CYCLE = (
    "In each stage the learning rate rises from a 25th of its highest value and falls along half a "
    "cosine to a 10,000th; momentum stays as it is."
)
STEP = (
    "In each stage the learning rate falls to a tenth at the half, and again at three quarters, of "
    "the steps after the warm-up."
)
DECAYED = "Weight decay leaves out biases and the parameters of normalisation."
NO_CURVE = (
    "A probe has no epochs, so there is no curve to read. Its training loss is far below the "
    "validation loss where it has more features than images: that is what the penalty is for."
)


def rules(settings: Settings) -> str:
    """Return how the training that the settings describe proceeds, stops and resumes."""
    recipe = from_settings(settings)
    if recipe.only_probes:
        return HIDDEN if hidden(settings) else PROBED
    said = (FIRST_PROBED if recipe.probes else STEPPED, RESUMES, steps(settings))
    return " ".join(each for each in said if each)


def steps(settings: Settings) -> str:
    """Return how batches become steps, where the recipe says more of it than a rate; else "".

    Example:
        >>> steps(Settings().replace(clip_norm=1.0))
        'A gradient whose norm over all weights is above 1 is scaled down to it.'
    """
    given, said = settings.training, []
    if from_settings(settings).only_probes:
        return ""
    if given.schedule == "one_cycle":
        said.append(ONE_CYCLE)
    if given.schedule == "step":
        said.append(STEP)
    if given.weight_decay:
        said.append(DECAYED)
    if given.clip_norm:
        said.append(
            f"A gradient whose norm over all weights is above {given.clip_norm:g} is scaled down "
            "to it."
        )
    if (count := given.accumulate) > 1:
        said.append(
            f"{count} batches of {given.batch_size} images make a step, by the mean of their "
            "gradients; batch normalisation uses the statistics of each batch alone."
        )
    return " ".join(said)


def learned(settings: Settings) -> str:
    """Return which layers learned, and in which order.

    Example:
        >>> learned(Settings().replace(stages="head:3,all:x0.1"))
        'The head learned first, then all layers.'
    """
    named = [_layers(stage) for stage in from_settings(settings).stages]
    first, *others = dict.fromkeys(named)
    if not others:
        return f"{_sentence(first)} learned."
    return f"{_sentence(first)} learned first, then {', then '.join(others)}."


def outcome(settings: Settings, history: pd.DataFrame, best_epoch: int, images: int) -> str:
    """Return what a training ended with, in two lines.

    Args:
        settings: That it was made by.
        history: Of ``training.Fit``.
        best_epoch: Whose weights were kept.
        images: How many it learned from.
    """
    recipe, best = from_settings(settings), history.set_index("epoch").loc[best_epoch]
    figures = f"validation loss {best.validation_loss:.3f}, accuracy {best.validation_accuracy:.3f}"
    epochs = f"epoch {best_epoch} of {len(history)} run ({recipe.epochs} allowed)"
    rows = history.to_dict("records")
    if recipe.only_probes:
        begun = f"The head was fitted to {images:,} training images in {best.seconds:.0f} s:"
    elif recipe.keeps_probe(rows):
        begun = (
            f"None of {len(history) - 1} epochs after the probe has a lower validation loss, so "
            "the probe was kept and what they learned was dropped:"
        )
    elif recipe.probes:
        begun = f"Best {epochs}; the probe had validation loss {rows[0]['validation_loss']:.3f}:"
    else:
        begun = f"Best {epochs}:"
    return f"{begun}\n{figures}"


def reading(settings: Settings) -> str:
    """Return how the history is to be read."""
    recipe = from_settings(settings)
    if recipe.only_probes:
        return NO_CURVE
    if len(recipe.stages) == 1:
        return READING
    probe = (
        " The level line is the probe: a lower loss than that has to be reached."
        if recipe.probes
        else ""
    )
    return f"{READING} {DOTTED}.{probe}"


def chooses_epoch(settings: Settings) -> bool:
    """Return whether the validation images chose the weights that are kept."""
    return not from_settings(settings).only_probes or hidden(settings)


def hidden(settings: Settings) -> bool:
    """Return whether the head has a hidden layer, which is trained by epochs."""
    return settings.model.hidden_units > 0


def fold(settings: Settings) -> str:
    """Return what each fold of the cross-validation trains, for a line of output."""
    if from_settings(settings).only_probes:
        return "a head fitted to the features of each"
    return f"at most {settings.evaluation.fold_epochs} epochs each"


def augmented(settings: Settings) -> str:
    """Return, as a line, whether the run's recipe uses the augmentation; "" where it does."""
    if not from_settings(settings).only_probes:
        return ""
    views = settings.training.feature_views
    if views:
        return f"This run's head learns from each image and {views} augmented views of it.\n"
    return (
        "This run's head learns from the images as they are: what follows is what a training by "
        "steps would see (stages=probe,all:x0.1), or further views (feature_views=4).\n"
    )


def seeds(settings: Settings) -> str:
    """Return what another seed changes of a training on the same split."""
    if from_settings(settings).only_probes and settings.model.weights != "random":
        return (
            "Of a probe on given weights another seed changes little: the parts of the "
            "cross-validation that chooses the penalty. A small deviation here is no promise; the "
            "folds, which change the images, say more."
        )
    return (
        "Another seed changes initial weights, order, augmentation and dropout, and each training "
        "chose its epoch by these very images."
    )


def _layers(stage: Stage) -> str:
    if stage.trainable in ("head", "probe"):
        return "the head"
    if stage.trainable == "all":
        return "all layers"
    count = int(stage.trainable.removeprefix("last"))
    return f"the head and the last {f'{count} stages' if count > 1 else 'stage'} of the network"


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]


def best_epoch(settings: Settings, history: pd.DataFrame) -> int:
    """Return the epoch whose weights were kept, of a history that was stored."""
    return from_settings(settings).best_epoch(history.to_dict("records"))


def kept_probe(settings: Settings, history: pd.DataFrame) -> bool:
    """Return whether the epochs after the probe were dropped, of a history that was stored."""
    return from_settings(settings).keeps_probe(history.to_dict("records"))
