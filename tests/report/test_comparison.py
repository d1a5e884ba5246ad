import numpy as np
import pytest
from scipy import stats

from cnnlab.data import splits
from cnnlab.evaluation import metrics
from cnnlab.report import comparison

NAMES = ("run a", "run b")
ALL = np.ones(20, bool)


def _wrong(*places):
    mask = ALL.copy()
    mask[list(places)] = False
    return mask


def test_the_same_images_are_paired_whatever_their_paths_and_order(measured):
    first = measured("a", _wrong(0), ALL)
    second = measured("b", _wrong(1, 2, 3, 4), ALL, folder="elsewhere")
    turned = second.load_table("predictions/test.csv").iloc[::-1]
    second.save_table("predictions/test.csv", turned)
    found = comparison.by_images(first, second, NAMES)
    assert found.words.startswith(
        "Of the same 20 test images, 4 are right with run a only and 1 with run b only"
    )
    assert f"p = {stats.binomtest(1, 5).pvalue:.2f}" in found.words
    assert "Chance would explain that" in found.words
    difference = found.differences["accuracy"]
    assert difference.estimate == pytest.approx(0.15)
    assert -0.15 < difference.low < 0.15 < difference.high <= 0.5
    assert found.differences["log_loss"].estimate == pytest.approx(-3 / 20 * np.log(9))


def test_a_difference_is_that_of_the_two_scores(measured):
    first, second = measured("a", _wrong(0), ALL), measured("b", _wrong(2, 4, 5), ALL)
    found = comparison.by_images(first, second, NAMES).differences["macro_f1"]
    labels = np.arange(20) % 2
    scores = [
        metrics.macro_f1(labels, np.eye(2)[np.where(mask, labels, 1 - labels)])
        for mask in (_wrong(0), _wrong(2, 4, 5))
    ]
    assert found.estimate == pytest.approx(scores[0] - scores[1])


def test_equal_answers_differ_by_nothing(measured):
    runs = measured("a", _wrong(3), _wrong(1)), measured("b", _wrong(3), _wrong(1))
    images, folds = comparison.by_images(*runs, NAMES), comparison.by_folds(*runs, NAMES)
    for each in (*images.differences.values(), *folds.differences.values()):
        assert (each.estimate, each.low, each.high) == (0, 0, 0)
    assert "p = 1.00" in images.words
    assert "not told apart" in folds.words


def test_other_test_images_cannot_be_paired(measured):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL, content="other")
    found = comparison.by_images(first, second, NAMES)
    assert found.words.startswith(
        "The test sets differ: 20 images in run a, 20 in run b, 0 with the same label in both."
    )
    assert "cannot be paired" in found.words
    assert found.differences == {}


def test_an_image_under_another_label_is_another_question(measured):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    answers = second.load_table("predictions/test.csv")
    answers.loc[0, "label"] = "two"
    second.save_table("predictions/test.csv", answers)
    found = comparison.by_images(first, second, NAMES)
    assert "19 with the same label in both" in found.words
    assert found.differences == {}


def test_a_network_with_one_more_class_had_another_choice(measured):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    answers = second.load_table("predictions/test.csv").assign(p_three=0.0)
    second.save_table("predictions/test.csv", answers)
    found = comparison.by_images(first, second, NAMES)
    assert found.words.startswith("The classes differ: run a knows 2, run b 3. The answers cannot")
    assert found.differences == {}


def test_the_same_folds_are_compared_by_the_corrected_test(measured):
    first, second = measured("a", ALL, _wrong(0)), measured("b", ALL, _wrong(0, 1, 4, 8, 12, 13))
    found = comparison.by_folds(first, second, NAMES)
    gaps = np.array([0.25, 0.25, 0.25, 0.5, 0.0])  # of the five folds of four images
    error = np.sqrt(gaps.var(ddof=1) * (1 / 5 + 4 / 16))
    reach = stats.t.ppf(0.975, 4) * error
    difference = found.differences["accuracy"]
    assert difference.estimate == pytest.approx(0.25)
    assert (difference.low, difference.high) == pytest.approx((0.25 - reach, 0.25 + reach))
    assert "Of 20 images, 5 are right with run a only and 0 with run b only" in found.words


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"overrides": "folds=4"}, "their number is 5 in one run and 4 in the other"),
        ({"overrides": "folds=5 seed=7"}, "the seed that draws them is 0 in one run and 7"),
        ({"content": "other"}, "they are made of other images"),
    ],
)
def test_other_folds_cannot_be_paired(measured, options, reason):
    found = comparison.by_folds(measured("a", ALL, ALL), measured("b", ALL, ALL, **options), NAMES)
    assert found.words.startswith(f"The folds differ: {reason}")
    assert "cannot be paired" in found.words
    assert found.differences == {}


def test_other_copies_or_another_splitter_make_other_folds(measured):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    state = second.state()["versions"] | {"scikit-learn": "0.1"}
    second.record("versions", state)
    assert "scikit-learn drew them in versions" in comparison.by_folds(first, second, NAMES).words
    table = splits.read(second.require("splits.csv"))
    table.loc[table.index[-1], "picture"] = table["picture"].iloc[-2]
    splits.write(table, second.path("splits.csv"))
    assert "copies or groups" in comparison.by_folds(first, second, NAMES).words


def test_a_run_of_a_version_without_groups_has_the_same_folds(measured):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    table = splits.read(second.require("splits.csv"))
    earlier = table.drop(columns="group").rename(columns={"picture": "group"})
    earlier[["path", "label", "split", "group", "reason"]].to_csv(
        second.folder / "splits.csv", index=False
    )
    assert "cannot be paired" not in comparison.by_folds(first, second, NAMES).words


def test_declared_groups_make_other_folds(measured):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    table = splits.read(second.require("splits.csv"))
    splits.write(table.assign(group="patient"), second.path("splits.csv"))
    assert "copies or groups" in comparison.by_folds(first, second, NAMES).words


@pytest.mark.parametrize("relative", ["predictions/test.csv", "manifest.csv"])
def test_what_is_missing_says_which_notebook_to_run(measured, relative):
    first, second = measured("a", ALL, ALL), measured("b", ALL, ALL)
    (second.folder / relative).unlink()
    found = comparison.by_images(first, second, NAMES)
    notebook = "04_kfold_evaluation" if "test" in relative else "01_explore_data"
    assert found.words == f"Run 'b' has no {relative} yet: run notebook {notebook} first."
    assert found.differences == {}
