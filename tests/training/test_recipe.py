"""Recipes: read from the settings, and refused where they make no sense."""

import pytest

from cnnlab.config import InputError, Settings, make_settings
from cnnlab.config.stages import StageText, parse
from cnnlab.training import Recipe, Stage
from cnnlab.training.recipe import from_settings
from cnnlab.training.trainer import check


def test_the_default_is_the_reference_protocol() -> None:
    assert from_settings(Settings()) == Recipe(
        (Stage(50, "all", "adam", 1e-3, 0.0, "constant", 0, None, "crossentropy", 0.0, "none"),),
        patience=10,
        ema_decay=0.0,
        precision="float32",
    )


def test_stages_take_their_epochs_from_the_whole() -> None:
    settings = make_settings("full", [
        "stages=head:3:32px,last2:x0.5:4,all:x0.1", "epochs=12", "learning_rate=0.01",
        "schedule=cosine", "warmup_epochs=2", "label_smoothing=0.1", "mixing=mixup",
        "optimizer=sgd", "weight_decay=0.001", "patience=4", "ema_decay=0.99",
        "precision=bfloat16", "mixing_strength=0.4", "loss=focal",
    ])  # fmt: skip
    recipe = from_settings(settings)
    assert [each.epochs for each in recipe.stages] == [3, 4, 5]
    assert [each.trainable for each in recipe.stages] == ["head", "last2", "all"]
    assert [each.image_size for each in recipe.stages] == [32, None, None]
    assert [each.learning_rate for each in recipe.stages] == pytest.approx([0.01, 0.005, 0.001])
    for stage in recipe.stages:
        assert (stage.schedule, stage.warmup_epochs, stage.optimizer) == ("cosine", 2, "sgd")
        assert (stage.mixing, stage.mixing_strength, stage.loss) == ("mixup", 0.4, "focal")
        assert (stage.weight_decay, stage.label_smoothing) == (0.001, 0.1)
    assert (recipe.epochs, recipe.patience) == (12, 4)
    assert (recipe.ema_decay, recipe.precision) == (0.99, "bfloat16")
    assert [each.epochs for each in from_settings(settings, epochs=10).stages] == [3, 4, 3]


def test_no_epochs_are_not_taken_for_those_of_the_settings() -> None:
    with pytest.raises(InputError, match=r"epochs=0 .* at least 1"):
        from_settings(Settings(), epochs=0)


def test_epochs_belong_to_stages() -> None:
    recipe = Recipe((Stage(2), Stage(1), Stage(3)))
    assert [recipe.stage_of(epoch) for epoch in range(1, 9)] == [1, 1, 2, 3, 3, 3, 3, 3]


def test_the_text_of_stages() -> None:
    assert parse("all") == (StageText("all"),)
    assert parse("head:3,all:64px:2:x1e-2,last12") == (
        StageText("head", 3), StageText("all", 2, 0.01, 64), StageText("last12"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("stages=", "'' is none of all, head"),
        ("stages=tail:2,all", "'tail' is none of all, head"),
        ("stages=head,all", "every stage but the last needs its number of epochs"),
        ("stages=head:2,all:3", "the last stage takes what the others leave"),
        ("stages=head:2:3,all", "'head:2:3' says epochs twice"),
        ("stages=head:0,all", "'0' is no number of epochs"),
        ("stages=all:8px", "'8px' is no number of epochs .* at least 16"),
        ("stages=all:x0", "'x0' is no number of epochs .* factor"),
        ("stages=head:2:x1e,all", "'x1e' is no"),
        ("stages=head:\u0663,all", "is no number of epochs"),  # a digit, but no ASCII one
        ("stages=all:x\u0660.1", "is no number of epochs"),
        (f"stages=all:{'9' * 5000}px", "is no number of epochs"),
        ("stages=all:2:64px,all image_size=32", "trains at 64 pixels and image_size=32"),
        ("stages=head:9,all epochs=9", "epochs=9 .* nothing is left.* at least 10"),
        ("stages=head:9,all fold_epochs=9", "fold_epochs=9 .* nothing is left.* at least 10"),
        ("stages=all:2,probe", "probe can only be the first stage"),
        ("stages=probe,probe", "probe can only be the first stage"),
        ("stages=probe:2,all", "probe fits the head once: it takes no epochs, factor or size"),
        ("stages=probe:x0.1", "probe fits the head once: it takes no epochs, factor or size"),
        ("stages=probe:32px", "probe fits the head once: it takes no epochs, factor or size"),
        ("stages=probe,all epochs=1", "epochs=1 .* nothing is left.* at least 2"),
        ("stages=probe,all warmup_epochs=2 epochs=3", "the shortest stage has 2 epochs"),
        ("warmup_epochs=3 stages=head:3,all", "warmup_epochs=3 is too many: .* has 3 epochs"),
        ("warmup_epochs=50", "warmup_epochs=50 is too many: .* has 50 epochs"),
        ("warmup_epochs=1 fold_epochs=1", r"the shortest stage has 1 epoch \("),
        ("weight_decay=0.1", "Adam decays no weights"),
        ("optimizer=adamw", "Expected a weight_decay above 0"),
        ("mixing_strength=0.5", "mixing=none: nothing is mixed. Expected mixing=mixup"),
        ("optimizer=adagrad", "Unknown optimizer 'adagrad'"),
        ("ema_decay=1", "ema_decay=1.0 is out of range"),
    ],
)
def test_what_makes_no_sense_is_refused_at_once(overrides: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_settings("full", overrides.split())


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ("stages=all:2:16px,all", "reference_cnn cannot be trained at 16 pixels and used at 32"),
        (
            "stages=last7:2,all",
            "Cannot train last7 of reference_cnn, which has 4 stages: .* In stages, expected one "
            "of all, head, last1, last2, last3",
        ),
        (
            "stages=last1:2,all network_options=filters=8",
            "reference_cnn, which has 1 stage: .* expected one of all, head\\.$",
        ),
    ],
)
def test_a_network_that_cannot_be_trained_so_is_refused_without_images(
    overrides: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        check(make_settings("full", ["image_size=32", *overrides.split()]))


@pytest.mark.parametrize("stages", ["all", "head:2,last2:2,all", "all:32px:2,all"])
def test_other_stages_are_not(stages: str) -> None:
    check(make_settings("full", ["image_size=32", f"stages={stages}"]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recipe(()), "no stage"),
        (lambda: Recipe((Stage(1),), ema_decay=1.0), r"ema_decay=1\.0 is out of range"),
        (lambda: Recipe((Stage(1),), precision="float16"), "Unknown precision"),
        (lambda: Stage(2, "probe"), "epochs=2 of a probe"),
        (lambda: Recipe((Stage(1), Stage(1, "probe"))), "probes in a later stage"),
        (lambda: Stage(2, clip_norm=-1.0), "clip_norm=-1.0 is out of range"),
        (lambda: Stage(2, accumulate=0), "accumulate=0 is out of range"),
        (lambda: Stage(2, warmup_epochs=2), "warmup_epochs=2 is out of range"),
    ],
)
def test_recipes_made_by_hand_are_checked(make, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make()
