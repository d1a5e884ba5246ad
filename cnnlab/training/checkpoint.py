"""The best weights of a training: a file that is never half written, or a copy in memory."""

from pathlib import Path

from cnnlab import files
from cnnlab.config import InputError
from cnnlab.engine import keras

SUFFIX = ".weights.h5"


def save(model: keras.Model, path: Path) -> None:
    """Write the model's weights to ``path``; a crash leaves the old file or the new, no other.

    Args:
        model: Any Keras model.
        path: Ends in ``.weights.h5``; its folder is made.

    Raises:
        InputError: Another file ending.
    """
    if not path.name.endswith(SUFFIX):
        raise InputError(f"Cannot write weights to {path}: expected a name ending in {SUFFIX}.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with files.replacing(path) as unfinished:
        model.save_weights(unfinished)


def restore(model: keras.Model, path: Path) -> None:
    """Read weights written by ``save`` into ``model``.

    Raises:
        InputError: There is no such file, it is damaged, or it belongs to another network.
    """
    if not path.is_file():
        raise InputError(f"There are no weights at {path}: train first.")
    try:
        model.load_weights(path)
    except (OSError, ValueError, KeyError) as error:
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"Cannot read {path} into {model.name!r}: damaged, or of another network ({reason})."
        ) from error


class Best:
    """Holds one set of weights: in ``folder/best.weights.h5``, or in memory without a folder.

    Example:
        >>> best = Best()
        >>> best.keep(model)  # after the epoch that improved
        >>> best.restore(model)  # at the end
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.path = folder / f"best{SUFFIX}" if folder else None
        self._weights: list | None = None

    def keep(self, model: keras.Model) -> None:
        """Remember the weights the model has now."""
        if self.path:
            save(model, self.path)
        else:
            self._weights = model.get_weights()

    def restore(self, model: keras.Model) -> None:
        """Give the model the weights last kept.

        Raises:
            InputError: Nothing was kept.
        """
        if self.path:
            restore(model, self.path)
        elif self._weights is None:
            raise InputError("No weights were kept: there is nothing to restore.")
        else:
            model.set_weights(self._weights)
