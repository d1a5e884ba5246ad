"""When to stop: after some epochs without a new lowest validation loss."""

import math

from cnnlab.config import InputError


class EarlyStopping:
    """Says when ``patience`` epochs have passed without a new lowest loss; a tie is not lower.

    It knows nothing but the losses it was told, in order: told them again, it stands where it was.

    Example:
        >>> stopping = EarlyStopping(patience=2)
        >>> [stopping.update(epoch, loss) for epoch, loss in enumerate([0.9, 0.5, 0.5, 0.7], 1)]
        [True, True, False, False]
        >>> stopping.best_epoch, stopping.should_stop
        (2, True)
    """

    def __init__(self, patience: int) -> None:
        if patience < 1:
            raise InputError(f"patience={patience} is out of range: expected 1 or more epochs.")
        self.patience = patience
        self.best_epoch = 0
        self.best_loss = math.inf
        self._last_epoch = 0

    def update(self, epoch: int, loss: float) -> bool:
        """Take the validation loss of an epoch; return whether it is the lowest so far."""
        self._last_epoch = epoch
        improved = loss < self.best_loss
        if improved:
            self.best_epoch, self.best_loss = epoch, loss
        return improved

    @property
    def should_stop(self) -> bool:
        """Whether the last ``patience`` epochs brought nothing."""
        return self._last_epoch - self.best_epoch >= self.patience
