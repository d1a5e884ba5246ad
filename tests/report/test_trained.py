"""Sentences about a training follow from its recipe and its history."""

import pandas as pd
import pytest

from cnnlab.config import Settings
from cnnlab.report import trained
from cnnlab.training import described

PLAIN = Settings()
PROBE = PLAIN.replace(stages="probe", weights="pretrained")
BOTH = PLAIN.replace(stages="probe,last2:2:x0.1,all:x0.02", epochs=5)


def _history(*losses, stages):
    rows = {"epoch": range(1, len(losses) + 1), "stage": stages, "validation_loss": losses}
    return pd.DataFrame(rows).assign(validation_accuracy=0.75, seconds=2.0)


def test_of_a_training_by_steps_the_best_of_all_epochs_is_told():
    said = trained.outcome(PLAIN, _history(0.9, 0.5, 0.7, stages=1), 2, 100)
    assert said == "Best epoch 2 of 3 run (50 allowed):\nvalidation loss 0.500, accuracy 0.750"


def test_a_probe_alone_has_no_epochs():
    history = _history(0.5, stages=1)
    said = [
        trained.outcome(PROBE, history, 1, 1234), trained.rules(PROBE), trained.reading(PROBE),
        trained.learned(PROBE), trained.fold(PROBE), trained.seeds(PROBE),
    ]  # fmt: skip
    assert said[0].startswith("The head was fitted to 1,234 training images in 2 s:")
    assert "no epochs" in said[2]
    assert said[3] == "The head learned."
    texts = " ".join([*said[:2], *said[3:]])
    assert not any(word in texts for word in ("epoch", "dropout", "stops", "initial weights"))
    assert not trained.chooses_epoch(PROBE)
    assert "as they are" in trained.augmented(PROBE)


@pytest.mark.parametrize(
    ("losses", "best", "kept"),
    [((0.4, 0.6, 0.5, 0.45), 1, True), ((0.4, 0.3, 0.6, 0.35), 4, False)],
)
def test_of_two_stages_it_is_told_whether_the_probe_was_kept(losses, best, kept):
    """The second stage is none of those that count, however low its loss is."""
    history = _history(*losses, stages=[1, 2, 2, 3])
    assert trained.best_epoch(BOTH, history) == best
    assert trained.kept_probe(BOTH, history) == kept
    said = trained.outcome(BOTH, history, best, 100)
    assert ("the probe was kept and what they learned was dropped" in said) == kept
    assert ("Best epoch 4 of 4 run (5 allowed); the probe had validation loss 0.400:" in said) == (
        not kept
    )
    assert f"validation loss {losses[best - 1]:.3f}" in said


def test_which_layers_learned_is_told_in_order():
    assert trained.learned(PLAIN) == "All layers learned."
    assert trained.learned(BOTH) == (
        "The head learned first, then the head and the last 2 stages of the network, then all "
        "layers."
    )


def test_a_training_in_several_stages_is_read_with_its_lines():
    assert "dotted line" in trained.reading(BOTH)
    assert "level line is the probe" in trained.reading(BOTH)
    assert "dotted line" not in trained.reading(PLAIN)
    assert trained.rules(BOTH).startswith("Epoch 1 is the probe")
    assert trained.fold(PLAIN) == "at most 50 epochs each"
    assert trained.augmented(PLAIN) == ""
    assert "dropout" in trained.seeds(PLAIN)


def test_it_is_said_how_batches_become_steps_where_that_is_unusual():
    assert trained.steps(PLAIN) == trained.steps(PROBE.replace(clip_norm=1.0, accumulate=4)) == ""
    assert trained.rules(PLAIN).endswith("ends with the same weights.")
    many = PLAIN.replace(clip_norm=0.5, accumulate=4, batch_size=8, schedule="one_cycle")
    said = trained.steps(many)
    assert "rises from a 25th of its highest value" in said
    assert "above 0.5 is scaled down" in said
    assert "4 batches of 8 images make a step" in said
    assert trained.rules(many).endswith(said)
    decayed = PLAIN.replace(optimizer="nesterov", weight_decay=0.1, schedule="step")
    assert "a tenth at the half" in trained.steps(decayed)
    assert "leaves out biases" in trained.steps(decayed)
    assert described(decayed.training).startswith("SGD with Nesterov momentum 0.001, batch 32")
    assert described(many.training).endswith("schedule one_cycle, clip norm 0.5, accumulate 4")
