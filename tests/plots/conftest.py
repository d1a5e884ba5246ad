"""Every public figure once, with data of the size and kind that a run produces."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text

from cnnlab import plots
from cnnlab.plots import fonts

METHODS = ("CAM", "Grad-CAM", "Grad-CAM++", "HiResCAM", "LayerCAM", "Score-CAM", "Eigen-CAM")
METHODS += ("occlusion", "integrated gradients")
ORDINARY = [f"longsleeve{letter}" for letter in "abcdefghij"]
# What plots, tables or legends use themselves, would read as a formula, or leave out.
MAGIC = ["_", "_nolegend_", "macro average", "micro average", "all images", "$\\frac{x$"]
MAGIC += ["none of these", "label", "   ", "next stage"]


def _images(count: int, size: int = 12) -> np.ndarray:
    return np.random.default_rng(count).integers(0, 256, (count, size, size, 3), np.uint8)


def _calibration(names: list[str], images: int = 12_345) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return made-up cells and errors of classes, one cell empty."""
    rng = np.random.default_rng(len(names))
    rows = [
        (
            name,
            low / 5,
            low / 5 + 0.2,
            int(images / 20**n),
            low / 5 + 0.1,
            rng.beta(low + 1, 5 - low),
        )
        for name in names
        for n, low in enumerate(rng.permutation(5))
    ]
    columns = ["class", "low", "high", "count", "predicted", "observed"]
    cells = pd.DataFrame(rows, columns=columns).assign(p_value=rng.random(len(rows)) / 10)
    errors = pd.DataFrame({"class": names, "error": 0.123, "by_chance": 0.012})
    return cells[cells["count"] > 0], errors


def _examples(classes: list[str]) -> dict[str, tuple[Callable[..., Figure], tuple[Any, ...]]]:
    rng = np.random.default_rng(0)
    epochs = np.arange(1, 16)
    history = pd.DataFrame(
        {
            "epoch": epochs,
            "loss": 2 / epochs,
            "accuracy": 1 - 0.8 / epochs,
            "validation_loss": 2.2 / epochs,
            "validation_accuracy": 0.9 - 0.7 / epochs,
        }
    )
    counts = pd.DataFrame(
        [
            {"label": label, "split": split, "count": count}
            for label in classes
            for split, count in (("train", 12_345), ("validation", 678), ("test", 9))
        ]
    )
    grid = np.linspace(0, 1, 20)
    curves = dict.fromkeys(classes, (grid, grid**0.1, 0.909))
    averages = dict.fromkeys(["macro average", "micro average"], (grid, grid**0.1, 0.909))
    confidence = np.linspace(0.3, 0.99, 15)
    bins = pd.DataFrame({"low": confidence - 0.02, "high": confidence + 0.01, "count": 27})
    bins = bins.assign(confidence=confidence, accuracy=confidence - 0.1)
    bins = bins.assign(accuracy_low=confidence - 0.25, accuracy_high=confidence)
    keys = ("precision", "recall", "f1", "f1_low", "f1_high")
    scores = [
        {"class": name, "support": 123, **dict(zip(keys, (0.8, 0.9, 0.85, 0.7, 0.95), strict=True))}
        for name in classes
    ]
    folds = pd.DataFrame(
        {"fold": [1, 2, 3], "accuracy": [0.9, 0.92, 0.94], "macro_f1": [0.8, 0.9, 0.85]}
    )
    heat = rng.random((8, 12, 12)).astype(np.float32)
    titles = ["true: longsleeve\npredicted: outwear 0.62"] * 8
    maps = {f"block{n}_conv": rng.random((4, 4, 12)).astype(np.float32) for n in range(1, 5)}
    sides = rng.integers(200, 1200, (2, 60))
    draws = {
        "angle (degrees)": rng.uniform(-20, 20, 200),
        "flipped": rng.random(200) < 0.5,
        "zoom (factor)": rng.uniform(0.8, 1.2, 200),
        "brightness (factor)": rng.uniform(0.8, 1.2, 200),
    }
    captions = ["near duplicate across splits\ntrain/longsleeve/0123.jpg"] * 4
    rows = {name: _images(5) for name in ("rotation ±20°", "flip", "all together")}
    matrix = rng.integers(0, 1000, (10, 10))
    rates = np.geomspace(1e-6, 1, 80)
    falling = 3 - rates**0.2 + 9 * rates
    used = pd.DataFrame({"epoch": np.repeat([1, 2, 3], 4), "step": np.arange(12)})
    used = used.assign(stage=1, rate=np.linspace(0.1, 0.0, 12))
    steps = pd.DataFrame({"rate": rates, "loss": rng.normal(falling, 0.5), "smoothed": falling})
    trainings = pd.DataFrame(
        [
            {"seed": seed, "fraction": share, "n": int(9600 * share), "accuracy": 0.9 * share**0.2}
            for seed in (0, 1, 2)
            for share in (0.1, 0.3, 1.0)
        ]
    )
    slices = pd.DataFrame(
        {
            "slice": ["darkest fifth", "fifth of most contrast", "highest fifth by something new"],
            "n": [1234, 567, 890],
            "accuracy": [0.81, 0.9, 1.0],
            "rest": [0.93, 0.91, 0.9],
            "adjusted": [-0.1, np.nan, 0.05],
            "low": [-0.15, np.nan, -0.01],
            "high": [-0.05, np.nan, 0.1],
            "worse": [True, False, False],
        }
    )
    gaps = pd.DataFrame(
        {
            "method": ["Grad-CAM++", "integrated gradients", "random", "centre prior"],
            "gap": [0.1, -0.31, np.nan, np.nan],
            "gap_low": [0.05, -0.42, np.nan, np.nan],
            "gap_high": [0.15, -0.2, np.nan, np.nan],
            "beats_both": [True, False, None, None],
        }
    )
    measures = ("deletion", "insertion", "ROAD", "pointing", "energy in box")
    falling_shares = dict.fromkeys(
        [*METHODS, "random", "centre prior"], np.linspace([1.0], [0.1], 11).T
    )
    stages = pd.DataFrame(
        {
            "layer": ["relu1", "relu2", "relu3", "relu4"],
            "selective": [0.5, 0.6, 0.9, 1.0],
            "randomized_selective": 0.4,
            "probe": [0.2, 0.6, 0.9, 1.0],
            "probe_low": [0.15, 0.55, 0.85, 0.95],
            "probe_high": [0.25, 0.65, 0.95, 1.0],
            "randomized_probe": 0.3,
            "on_object": [0.3, 0.5, 0.8, 0.9],
            "chance_on_object": 0.4,
        }
    )
    patches = {
        f"relu{n}: {side} × {side} pixels": rng.integers(0, 256, (6, 6, side, side, 3), np.uint8)
        for n, side in enumerate((3, 8, 18, 38), start=1)
    }
    load = pd.DataFrame(
        {
            "clients": [1, 2, 4, 8, 16],
            "per_second": [900.0, 1500.0, 1700.0, 1800.0, 1750.0],
            "p50_ms": [0.9, 1.2, 2.1, 4.2, 9.0],
            "p99_ms": [2.0, 3.1, 6.0, 14.0, 31.0],
        }
    )
    return {
        "baseline_gaps": (plots.baseline_gaps, (dict.fromkeys(measures, gaps),)),
        "depth_profile": (plots.depth_profile, (stages,)),
        "embedding_map": (
            plots.embedding_map,
            (rng.normal(size=(200, 2)), classes * 20, _images(200)),
        ),
        "patch_mosaics": (plots.patch_mosaics, (patches,)),
        "picture_rows": (
            plots.picture_rows,
            ({name: _images(8) for name in classes}, ["the image", *["a neighbour"] * 7]),
        ),
        "vanishing_curves": (
            plots.vanishing_curves,
            (dict.fromkeys(("deletion", "insertion"), falling_shares), ("random", "centre prior")),
        ),
        "class_balance": (plots.class_balance, (counts,)),
        "class_means": (
            plots.class_means,
            (_images(10), sides[:, :30].reshape(10, 6)[:, :3] // 5, classes),
        ),
        "image_grid": (plots.image_grid, (_images(8), ["longsleeve → outwear 0.93"] * 8)),
        "image_pairs": (plots.image_pairs, (_images(4), _images(4), captions)),
        "fits": (plots.fits, (_images(3), [30, 400, 99], [90, 400, 40])),
        "size_scatter": (plots.size_scatter, (*sides, np.array(classes * 6))),
        "augmentation_grid": (plots.augmentation_grid, (_images(1)[0], rows)),
        "draw_histograms": (plots.draw_histograms, (draws,)),
        "training_history": (plots.training_history, (history, 12)),
        "confusion_matrix": (plots.confusion_matrix, (matrix, classes)),
        "precision_recall_curves": (plots.precision_recall_curves, (curves,)),
        "reliability_diagram": (plots.reliability_diagram, ({"before": bins, "after": bins},)),
        "roc_curves": (plots.roc_curves, (curves, averages)),
        "per_class_scores": (plots.per_class_scores, (scores,)),
        "fold_scores": (plots.fold_scores, (folds,)),
        "paired_folds": (
            plots.paired_folds,
            ([0.81, 0.83, 0.8], [0.8, 0.84, 0.79], ("the network", "logistic regression")),
        ),
        "rate_test": (plots.rate_test, (steps, 1.7e-4)),
        "learning_rates": (plots.learning_rates, (used,)),
        "strengths": (plots.strengths, ({1e-3: 0.9, 1e-2: 0.5, 1e-1: 0.7}, 1e-2)),
        "learning_curve": (plots.learning_curve, (trainings,)),
        "slice_scores": (plots.slice_scores, (slices,)),
        "confused_pairs": (
            plots.confused_pairs,
            (
                [_images(4), _images(2)],
                [_images(3), _images(1)[:0]],
                [("123 of 1,234 longsleeve taken for outwear",) * 2] * 2,
            ),
        ),
        "cam_grid": (
            plots.cam_grid,
            (_images(8), {"Grad-CAM++": heat}, titles),
        ),
        "filter_grid": (plots.filter_grid, (rng.normal(size=(3, 3, 3, 32)),)),
        "activation_grid": (plots.activation_grid, (maps, _images(1)[0])),
        "load_curves": (plots.load_curves, ({"cached": load, "fresh": load / [1, 8, 0.1, 0.1]},)),
        "calibration_by_class": (plots.calibration_by_class, _calibration(classes)),
        "set_sizes": (plots.set_sizes, (rng.integers(1, 11, 5000), 0.9, 0.9)),
        "novelty_scores": (
            plots.novelty_scores,
            (rng.beta(9, 1, 12_345), rng.beta(2, 2, 12_345), 0.654),
        ),
        "probability_bars": (
            plots.probability_bars,
            (classes[:5], np.array([0.6, 0.2, 0.1, 0.06, 0.04]), "train/longsleeve/0123.jpg"),
        ),
    }


@pytest.fixture(scope="session")
def examples() -> dict[str, tuple[Callable[..., Figure], tuple[Any, ...]]]:
    """Return name → (function, arguments)."""
    return _examples(ORDINARY)


@pytest.fixture(scope="session")
def magic_examples() -> dict[str, tuple[Callable[..., Figure], tuple[Any, ...]]]:
    """Return the same with class names that mean something elsewhere."""
    return _examples(MAGIC)


def visible_texts(figure: Figure) -> list[Text]:
    """Return every text that the figure shows, after laying it out."""
    figure.draw_without_rendering()
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]
    hidden = {
        id(label)
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not _shown(axes, axis, tick)
    }
    return [text for text in texts if id(text) not in hidden]


def _shown(axes: Any, axis: Any, tick: Any) -> bool:
    low, high = sorted(axes.get_xlim() if axis is axes.xaxis else axes.get_ylim())
    return axes.axison and low - 1e-9 <= tick.get_loc() <= high + 1e-9


@pytest.fixture
def texts_of() -> Callable[[Figure], list[Text]]:
    return visible_texts


@pytest.fixture(autouse=True)
def _no_other_fonts(monkeypatch):
    """Figures are the same whatever fonts a machine has."""
    monkeypatch.setattr(fonts, "_installed", list)
    yield
    fonts.has.cache_clear()
