"""How good is a network? A profile's protocol at one image size, over several seeds.

    python benchmarks/reference.py --data shapes --size 64 --seeds 0 1 2
    python benchmarks/reference.py --data FOLDER --profile transfer --size 288

Each seed is a run of its own, ``reports/reference-<data>-<size>-<seed>``: data or split, weights,
order, augmentation and dropout all derive from it. Its test set is opened at the end, for that one
model. A run that was killed goes on where it stopped, and a finished one is not repeated, so the
same command also prints the table of what is there. The table gives mean ± sample deviation over
the seeds.
"""

import argparse
import json
import time
from math import nan
from pathlib import Path
from typing import Any

from cnnlab import experiment, runs, training
from cnnlab.data import batches, manifest, splits
from cnnlab.data.audit import audit
from cnnlab.evaluation.probabilistic import log_loss
from cnnlab.evaluation.registry import METRICS
from cnnlab.evaluation.seeds import spread
from cnnlab.runs import provenance
from cnnlab.runs.folder import Run

FIGURES = ("accuracy", "macro_f1", "macro_auc", "log_loss", "ece")
PROMISES = {
    "temperature": "T",
    "untempered": "log loss at T = 1",
    "coverage": "coverage of the 90 % sets",
    "set_size": "classes a set",
}
TIMES = ("seconds", "cpu_seconds")  # the second is unknown of earlier versions
RESULT = "metrics/reference.json"


def prepared(run: Run) -> batches.Dataset:
    """Return the run's dataset; audited and split on first use."""
    if not (run.folder / "splits.csv").exists():
        source = run.source()
        background = run.settings.data.background
        files = manifest.build(source, background=background, progress=True)
        runs.seal_manifest(run, files, source.name)
        table = splits.assign(
            files, audit.pictures(files, source, background=background), run.settings
        )
        splits.write(table, run.path("splits.csv"))
    return run.dataset()


def measured(run: Run) -> dict[str, Any]:
    """Train, open the test set and score it; return the figures and what they took."""
    began = time.process_time()
    settings, dataset = run.settings, prepared(run)
    classifier = experiment.fit_classifier(
        dataset, settings, report=training.print_progress, folder=run.path("training")
    )
    fitted, spent = classifier.history, time.process_time() - began
    run.save_table("training/history.csv", fitted.history)
    classifier.save(run.path("model"), run_id=run.id, card="")
    opened = run.open_test_set(by="benchmarks/reference.py")
    tested = experiment.evaluate(classifier, opened, settings)
    predictions, figures = tested.predictions, tested.result
    result = {
        "scores": figures.scores.to_json(),
        "images": {name: len(opened.indices(name)) for name in ("train", "validation", "test")},
        "temperature": predictions.temperature,
        "untempered": log_loss(predictions.labels, predictions.raw),
        "coverage": figures.sets.coverage, "set_size": figures.sets.size,
        "epochs": len(fitted.history), "best_epoch": fitted.best_epoch,
        "seconds": fitted.seconds, "cpu_seconds": spent,
        "machine": provenance.machine(),
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
        "CPU minutes",
    ]
    lines = [f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    for seed, result in results.items():
        cells = [_interval(result["scores"][key]) for key in FIGURES]
        cells += [f"{result[key]:.3f}" for key in PROMISES]
        cells += [f"{result['epochs']} (best {result['best_epoch']})"]
        cells += [f"{result.get(key, nan) / 60:.1f}" for key in TIMES]
        lines.append(f"| {seed} | {' | '.join(cells)} |")
    columns = [[each["scores"][key]["estimate"] for each in results.values()] for key in FIGURES]
    columns += [[each[key] for each in results.values()] for key in PROMISES]
    took = [[each["epochs"] for each in results.values()]]
    took += [[each.get(key, nan) / 60 for each in results.values()] for key in TIMES]
    if len(results) > 1:
        cells = ["{0.mean:.3f} ± {0.deviation:.3f}".format(spread(values)) for values in columns]
        cells += ["{0.mean:.1f} ± {0.deviation:.1f}".format(spread(values)) for values in took]
        lines.append(f"| **mean ± deviation** | {' | '.join(cells)} |")
    return "\n".join(lines)


def _interval(scored: dict[str, float]) -> str:
    return "{estimate:.3f} [{low:.3f}, {high:.3f}]".format(**scored)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default="shapes", help="shapes, a fetched dataset or a folder")
    parser.add_argument("--profile", default="full", help="full, transfer, …")
    parser.add_argument("--size", type=int, default=64, help="pixels a side")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--name", default="", help="of the runs; that of the data if not given")
    parser.add_argument("--set", dest="overrides", nargs="*", default=[], help="key=value …")
    asked = parser.parse_args()
    name = asked.name or Path(asked.data).name
    results = {}
    for seed in asked.seeds:
        run = runs.open_run(
            f"reference-{name}-{asked.size}-{seed}", profile=asked.profile, data=asked.data,
            overrides=[f"image_size={asked.size}", f"seed={seed}", *asked.overrides],
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
