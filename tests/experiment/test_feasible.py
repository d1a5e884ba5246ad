"""What notebook 01 refuses is what later notebooks would, and its cure holds."""

import re

import numpy as np
import pandas as pd
import pytest

from cnnlab.config import InputError, Settings, child_seed, make_settings
from cnnlab.data.batches import Dataset
from cnnlab.evaluation import crossval
from cnnlab.experiment import feasible
from cnnlab.runs.execute import NOTEBOOKS
from cnnlab.training.held_out import hold_out

SETTINGS = make_settings("quick")


def split(counts: dict[str, int], *, group: str = "", test: int = 2, validation: int = 3):
    """A split with so many images of each class outside the test set, some for validation."""
    rows = [
        (f"{label}{i}.png", label, "test" if i < test else "validation" if i < test + validation
         else "train", group and f"{label}{i}")
        for label, n in counts.items()
        for i in range(n + test)
    ]  # fmt: skip
    table = pd.DataFrame(rows, columns=["path", "label", "split", "group"])
    return table.assign(picture=table["path"], reason="")


def later(table: pd.DataFrame, settings: Settings) -> str:
    """What notebook 04 says of the split, by its own functions."""
    data = Dataset(np.empty(0), table, sorted(table["label"].unique()))
    pool = np.flatnonzero(table["split"] != "test")
    labels, units = data.labels[pool], data.units[pool]
    try:
        seed = child_seed(settings.seed, "folds")
        pairs = crossval.folds(labels, units, settings.evaluation.folds, seed)
        for fold, (training, _) in enumerate(pairs, start=1):
            hold_out(data, pool[training], 0.2, child_seed(settings.seed, f"fold/{fold}"))
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("counts", [(20, 20), (20, 5), (20, 4), (20, 3), (20, 2), (7, 6), (4, 4)])
@pytest.mark.parametrize("folds", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_it_refuses_what_notebook_04_would_and_its_cure_holds(counts, folds, seed):
    table = split(dict(zip("ab", counts, strict=True)))
    settings = SETTINGS.replace(folds=folds, seed=seed)
    if not later(table, settings):
        feasible.check(table, settings)
        return
    with pytest.raises(InputError, match="folds") as refused:
        feasible.check(table, settings)
    cure = re.search(r"--set folds=(\d+)", str(refused.value))
    if cure:
        better = settings.replace(folds=int(cure[1]))
        assert not later(table, better)
        feasible.check(table, better)
    else:
        assert all(later(table, settings.replace(folds=k)) for k in range(2, 21))


def test_groups_of_several_classes_are_tried_as_notebook_04_does():
    table = split({"a": 12, "b": 12})
    for number in range(12):  # 12 patients, each with both classes; then only three
        table.loc[table["path"].isin([f"a{number + 2}.png", f"b{number + 2}.png"]), "group"] = (
            f"patient {number}"
        )
    assert not later(table, SETTINGS)
    feasible.check(table, SETTINGS)
    table["group"] = table["group"].str.replace(r"\d+", lambda m: str(int(m[0]) % 3), regex=True)
    assert later(table, SETTINGS)
    with pytest.raises(InputError, match=r"'a' has 12 in 3 groups.*--set folds=3"):
        feasible.check(table, SETTINGS)


def test_the_class_is_named_with_its_count():
    with pytest.raises(InputError) as refused:
        feasible.check(split({"a": 20, "rare": 4}), SETTINGS)
    assert str(refused.value) == (
        "Too few images outside the test set for folds=5: class 'rare' has 4; expected at least 5 "
        "distinct images of each class. Set folds=4 (--set folds=4), which these images allow, or "
        "add some."
    )


def test_two_images_are_too_few_for_any_number_of_folds():
    with pytest.raises(InputError, match=r"'rare' has 2.*No other number of folds.*at least 3"):
        feasible.check(split({"a": 20, "rare": 2}, validation=2), SETTINGS)


def test_a_probe_needs_no_images_that_judge_epochs():
    table = split({"a": 20, "rare": 2}, validation=1, test=1)
    table = pd.concat([table, split({"c": 9})], ignore_index=True)
    probed = SETTINGS.replace(stages="probe", folds=2)
    feasible.check(table, probed)
    with pytest.raises(InputError, match="'rare' has 2"):
        feasible.check(table, SETTINGS.replace(folds=2))


def test_one_class_and_few_validation_images_are_refused():
    with pytest.raises(InputError, match="The only class is 'a'"):
        feasible.check(split({"a": 20}), SETTINGS)
    with pytest.raises(InputError, match="There are 2 validation images"):
        feasible.check(split({"a": 20, "b": 20}, validation=1), SETTINGS)


def test_more_batches_a_step_than_the_shortest_training_has_are_refused():
    """A quarter of 16 training images is a batch of 4, in each of 3 epochs of the folds."""
    table, settings = split({"a": 11, "b": 11}), SETTINGS.replace(folds=2, batch_size=4)
    fits = settings.replace(accumulate=3, fold_epochs=3, epochs=5)
    feasible.check(table, fits)
    with pytest.raises(InputError, match=r"accumulate=4 and 3 batches .* at most 3"):
        feasible.check(table, fits.replace(accumulate=4))
    feasible.check(table, fits.replace(accumulate=4, fold_epochs=4))
    probe = fits.replace(stages="probe", weights="pretrained", architecture="efficientnet_lite0")
    feasible.check(table, probe.replace(accumulate=99))


def test_notebook_01_asks_before_it_keeps_the_split():
    text = (NOTEBOOKS / "01_explore_data.ipynb").read_text(encoding="utf-8")
    before, asked, after = text.partition(
        "experiment.feasible.check(table, settings, lab.known_classes)"
    )
    assert asked
    assert "splits.assign(" in before
    assert "runs.seal_split(" in after
    assert "runs.seal_split(" not in before
