"""What a training says while it runs."""

from typing import Any


def print_progress(row: dict[str, Any]) -> None:
    """Print one plain line for an epoch: the ``report`` of ``fit`` for notebooks and logs.

    Example:
        ``epoch 3/9  loss 0.812  accuracy 0.71  validation loss 0.900  accuracy 0.68  best  2.9 s``
    """
    width = len(str(row["epochs"]))
    print(
        f"epoch {row['epoch']:>{width}}/{row['epochs']}"
        f"  loss {row['loss']:.3f}  accuracy {row['accuracy']:.2f}"
        f"  validation loss {row['validation_loss']:.3f}"
        f"  accuracy {row['validation_accuracy']:.2f}"
        f"  {'best' if row['best'] else '    '}  {row['seconds']:.1f} s",
        flush=True,
    )
