"""How good is the reference network? The full protocol at one image size, over several seeds.

    python benchmarks/reference.py --data shapes --size 64 --seeds 0 1 2

Each seed is a run of its own, ``reports/reference-<data>-<size>-<seed>``: data or split, weights,
order, augmentation and dropout all derive from it. Its test set is opened at the end, for that one
model. A run that was killed goes on where it stopped, and a finished one is not repeated, so the
same command also prints the table of what is there. The table gives mean ± sample deviation over
the seeds.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from cnnlab import runs, training
from cnnlab.artifact import model_folder
from cnnlab.data import batches, manifest, splits
from cnnlab.data.audit import audit
from cnnlab.evaluation import calibration, conformal, ood_detection, scoring
from cnnlab.evaluation.probabilistic import log_loss
from cnnlab.evaluation.registry import METRICS
from cnnlab.runs import provenance
from cnnlab.runs.folder import Run

FIGURES = ("accuracy", "macro_f1", "macro_auc", "log_loss", "ece")
PROMISES = {
    "temperature": "T",
    "untempered": "log loss at T = 1",
    "coverage": "coverage of the 90 % sets",
    "set_size": "classes a set",
}
RESULT = "metrics/reference.json"


def prepared(run: Run) -> batches.Dataset:
    """Return the run's dataset; audited and split on first use."""
    if not (run.folder / "splits.csv").exists():
        source = run.source()
        files = manifest.build(source, progress=True)
        runs.seal_manifest(run, files, source.name)
        table = splits.assign(files, audit.pictures(files, source), run.settings)
        splits.write(table, run.path("splits.csv"))
    return run.dataset()


def measured(run: Run) -> dict[str, Any]:
    """Train, open the test set and score it; return the figures and what they took."""
    settings, dataset = run.settings, prepared(run)
    rows = {name: dataset.indices(name) for name in ("train", "validation")}
    model = training.new_model(dataset, settings)
    fitted = training.train(
        model, dataset, rows["train"], rows["validation"], settings,
        report=training.print_progress, folder=run.path("training"),
    )  # fmt: skip
    run.save_table("training/history.csv", fitted.history)

    def answers(data: batches.Dataset, indices: np.ndarray) -> np.ndarray:
        return training.predict(
            model,
            batches.evaluation_batches(data, indices, batch_size=settings.training.batch_size),
        )

    raw, truth = answers(dataset, rows["validation"]), dataset.labels[rows["validation"]]
    alike = dataset.groups(rows["validation"])
    temperature = calibration.fit_temperature(truth, raw, groups=alike)
    served = calibration.apply(raw, temperature)
    sets = conformal.fit(truth, served, groups=alike)
    model_folder.save(
        model, run.path("model"), class_names=dataset.class_names, run_id=run.id,
        card="", temperature=temperature, conformal=sets,
        novelty=ood_detection.fit(served, groups=alike),
    )  # fmt: skip
    opened = run.open_test_set(by="benchmarks/reference.py")
    test = opened.indices("test")
    raw, truth = answers(opened, test), opened.labels[test]
    probabilities = calibration.apply(raw, temperature)
    members = conformal.sets(probabilities, sets.threshold)
    scores = scoring.evaluate(
        truth, probabilities, dataset.class_names,
        samples=settings.evaluation.bootstrap_samples, seed=settings.seed,
        groups=opened.groups(test),
    )  # fmt: skip
    counts = {name: len(indices) for name, indices in rows.items()} | {"test": len(test)}
    result = {
        "scores": scores.to_json(), "images": counts, "temperature": temperature,
        "untempered": log_loss(truth, raw), "coverage": conformal.coverage(truth, members),
        "set_size": conformal.set_sizes(members).mean(),
        "epochs": len(fitted.history), "best_epoch": fitted.best_epoch,
        "seconds": fitted.seconds, "machine": provenance.machine(),
    }  # fmt: skip
    run.save_json(RESULT, result)
    training.checkpoint.forget(run.path("training"))
    return result


def table(results: dict[int, dict[str, Any]]) -> str:
    """Return the results as a Markdown table: a row a seed, then mean and deviation."""
    heads = [
        "seed",
        *(METRICS[key].label for key in FIGURES),
        *PROMISES.values(),
        "epochs",
        "minutes",
    ]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for seed, result in results.items():
        cells = [_interval(result["scores"][key]) for key in FIGURES]
        cells += [f"{result[key]:.3f}" for key in PROMISES]
        cells += [f"{result['epochs']} (best {result['best_epoch']})"]
        lines.append(f"| {seed} | {' | '.join(cells)} | {result['seconds'] / 60:.1f} |")
    columns = [[each["scores"][key]["estimate"] for each in results.values()] for key in FIGURES]
    columns += [[each[key] for each in results.values()] for key in PROMISES]
    took = [[each["epochs"] for each in results.values()]]
    took += [[each["seconds"] / 60 for each in results.values()]]
    if len(results) > 1:
        cells = [f"{np.mean(c):.3f} ± {np.std(c, ddof=1):.3f}" for c in columns]
        cells += [f"{np.mean(c):.1f} ± {np.std(c, ddof=1):.1f}" for c in took]
        lines.append(f"| **mean ± deviation** | {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(scored: dict[str, float]) -> str:
    return "{estimate:.3f} [{low:.3f}, {high:.3f}]".format(**scored)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="shapes", help="shapes, a fetched dataset or a folder")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--name", default="", help="of the runs; that of the data if not given")
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="key=value …")
    asked = parser.parse_args()
    name = asked.name or Path(asked.data).name
    results = {}
    for seed in asked.seeds:
        run = runs.open_run(
            f"reference-{name}-{asked.size}-{seed}", profile="full", data=asked.data,
            overrides=" ".join([f"image_size={asked.size} seed={seed}", *asked.overrides]),
        )  # fmt: skip
        done = run.folder / RESULT
        print(f"{run.name}  {time.strftime('%H:%M')}", flush=True)
        results[seed] = json.loads(done.read_text("utf-8")) if done.exists() else measured(run)
    first = next(iter(results.values()))
    counts = ", ".join(f"{count} {split}" for split, count in first["images"].items())
    machine = first["machine"]
    print(f"\n{table(results)}\n\nImages of seed {asked.seeds[0]}: {counts}.")
    print(f"{machine['cores']} cores, {machine['processor']}, {machine['gpus'] or 'no GPU'}.")


if __name__ == "__main__":
    main()
