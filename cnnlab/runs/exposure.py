"""Exposure: which models have seen the test images of a run, by the ledger, and what that means.

Models of all runs of this ``CNNLAB_HOME`` count, also of runs that are gone. A model is its id:
equal ones, such as those of a reproduction, are one model.
"""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from cnnlab.config import InputError
from cnnlab.data import ledger
from cnnlab.runs import past_openings, provenance
from cnnlab.runs.folder import Run
from cnnlab.text.first_of import first_of

NAMED = 5  # models that a sentence names one by one


@dataclass(frozen=True)
class Viewer:
    """A model that saw some of a run's test images, and in which run it first did."""

    model_id: str
    run: str
    at: str
    images: int


@dataclass(frozen=True)
class Viewers:
    """Models that saw some of ``of`` test images, by time, and how many they saw together."""

    models: tuple[Viewer, ...]
    together: int
    of: int

    def __len__(self) -> int:
        return len(self.models)

    @property
    def measured(self) -> str:
        """That they were measured on these images, as a clause."""
        were = f"{'was' if len(self) == 1 else 'were'} measured on"
        images = f"{self.together:,} of " if self.together < self.of else ""
        images += _these(self.of)
        if self.alike:
            runs = Counter(model.run for model in self.models).items()
            names = [f"{run} ({_models(count)})" if count > 1 else run for run, count in runs]
            label = "run" if len(runs) == 1 else "runs"
            return f"{_models(len(self))} ({label} {first_of(names, NAMED)}) {were} {images}"
        each = [f"run {model.run} on {model.images:,}" for model in self.models]
        return f"{_models(len(self))} {were} {images} ({first_of(each, NAMED)})"

    @property
    def alike(self) -> bool:
        """Whether each saw the same ones."""
        return all(model.images == self.together for model in self.models)


@dataclass(frozen=True)
class Exposure:
    """What the ledger knows of a run's test images.

    Attributes:
        images: Test images of the run; 0 before they are known.
        own: Ids of the run's own models that have opened them.
        before: Other models that were measured on some of them before the run's own; on all sides
            of that moment as long as there is none.
        after: Those that came later than the first of the run's own.
        interleaved: Whether some of those came before the last of the run's own, which then was
            trained with a seed that was declared later.
        damaged: Openings that cannot be counted, each in a sentence with the cure.
    """

    images: int
    own: frozenset[str]
    before: Viewers
    after: Viewers
    damaged: tuple[str, ...]
    interleaved: bool = False

    @property
    def models(self) -> frozenset[str]:
        """The ids of all models that were measured on some of the images, the own included."""
        return self.own | {each.model_id for each in (*self.before.models, *self.after.models)}

    @property
    def heading(self) -> str:
        """What may be said of the test scores in a heading."""
        if self.images and self.own and self.before:
            return f"test, after {_models(len(self.before))}"
        first = self.images and self.own and not self.damaged
        return "test, no other model before" if first else "test"

    @property
    def text(self) -> str:
        """What there is to know before these images judge a model; "" before they are known."""
        if not self.images:
            return ""
        these = _these(self.images)
        if not self.own:
            said = self.before.measured if self.before else f"no model was measured on {these} yet"
        elif self.before:
            said = f"before {self._subject}, {self.before.measured}"
        else:
            rank = "first" if self.after else "only"
            verb, ones = ("are", "ones") if self._plural else ("is", "one")
            said = f"{self._subject} {verb} the {rank} {ones} measured on {these}"
        sentences = [_sentence(("by the ledger, " if self.damaged else "") + said)]
        if self.after:
            after = "them" if self._plural else "it"
            sentences.append(_sentence(f"after {after}, {self.after.measured}"))
        if self.before or self.after or len(self.own) > 1:
            sentences.append(_warning(len(self.models) + (not self.own)))
        return " ".join((*sentences, *self.damaged))

    @property
    def _subject(self) -> str:
        """The run's own models: the one that ships, and one of each further seed."""
        if len(self.own) < 2:
            return "this model"
        each = f"the {len(self.own)} models of this run, one a seed,"
        return each if self._plural else f"the first of {each}"

    @property
    def _plural(self) -> bool:
        """Whether what is said of the first of the run's own models is true of each."""
        return len(self.own) > 1 and not self.interleaved

    @property
    def dated(self) -> str:
        """The text, with the day on which it holds: other runs may open the images later."""
        return f"{self.text} (By the ledger of test openings, {provenance.now()[:10]}.)"


def of(run: Run) -> Exposure:
    """Return which models have seen a run's test images, after ``past_openings.record``.

    Args:
        run: Whose ``splits.csv`` names the test images; without one, nothing is known of them.

    Example:
        >>> print(of(open_run("mine")).text)  # doctest: +SKIP
        3 models (runs a, b, c) were measured on these 616 test images. ...
    """
    openings, damaged = past_openings.record(run.folder)
    own = frozenset(entry["model_id"] for entry in run.state()["test_set_opened"])
    images = _images(run)
    masks, unknown = _overlaps(images, {each.images for each in openings})
    seen = [each for each in openings if each.images in masks]
    first = {each.model_id: each for each in reversed(seen)}  # by time: the earliest stays
    times = [first[model_id].at for model_id in own if model_id in first]
    opened, last = min(times, default=""), max(times, default="")
    others = [each for each in seen if each.model_id not in own]
    after = [each for each in others if opened and first[each.model_id].at > opened]
    before = [each for each in others if not opened or first[each.model_id].at <= opened]
    return Exposure(
        images=len(images),
        own=own,
        before=_viewers(before, masks, len(images)),
        after=_viewers(after, masks, len(images)),
        damaged=(*damaged, *unknown),
        interleaved=any(first[each.model_id].at < last for each in after),
    )


def of_two(first: Run, second: Run, names: tuple[str, str]) -> str:
    """Return whether two runs have the same test images and how many models saw them, in words.

    Args:
        first: A run.
        second: Another.
        names: What they are called in a sentence.
    """
    one, two = of(first), of(second)
    if not (one.images and two.images):
        return ""
    images, others = (ledger.test_images(run.folder) for run in (first, second))
    shared, models = int(np.isin(images, others).sum()), one.models | two.models
    if ledger.digest(images) == ledger.digest(others):
        part = "" if one.before.alike and one.after.alike else "some of "
        said = (
            f"Both have the same {one.images:,} test images. {_models(len(models))} altogether "
            f"{'was' if len(models) == 1 else 'were'} measured on {part}them."
        )
    else:
        said = (
            f"Of the {one.images:,} test images of {names[0]}, {shared:,} "
            f"{'is' if shared == 1 else 'are'} among the {two.images:,} of {names[1]}. "
            f"Measured on the former: {_models(len(one.models))}; on the latter: "
            f"{len(two.models)}; altogether: {len(models)}."
        )
    warning = [_warning(len(models))] if len(models) > 1 else []
    return " ".join((said, *warning, *dict.fromkeys((*one.damaged, *two.damaged))))


def _images(run: Run) -> np.ndarray:
    """Return a run's test images in ascending order; none where it has no readable split."""
    try:
        return np.sort(ledger.test_images(run.folder))
    except InputError:
        return np.array([], ledger.KEY)


def _overlaps(images: np.ndarray, sets: set[str]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return digest → which images are in that set, bool (N,), where any; and what is unknown."""
    own, masks, unknown = ledger.digest(images), {}, []
    for digest in sorted(sets):
        try:
            known = np.unique(images) if digest == own else ledger.images_of(digest)
        except InputError as error:
            unknown.append(str(error))
            continue
        found = ledger.contains(images, known)
        if found.any():
            masks[digest] = found
    return masks, unknown


def _viewers(openings: list[ledger.Opening], masks: dict[str, np.ndarray], of: int) -> Viewers:
    """Return the models of some openings, by time."""
    seen: dict[str, np.ndarray] = {}
    for each in openings:
        seen[each.model_id] = seen.get(each.model_id, np.zeros(of, bool)) | masks[each.images]
    runs = {each.model_id: each for each in reversed(openings)}
    models = [Viewer(key, runs[key].run, runs[key].at, int(seen[key].sum())) for key in seen]
    union = np.logical_or.reduce(list(seen.values())) if seen else np.zeros(of, bool)
    return Viewers(tuple(models), int(union.sum()), of)


def _models(count: int) -> str:
    return f"{count} model{'s' if count != 1 else ''}"


def _these(count: int) -> str:
    return f"{'these' if count != 1 else 'this'} {count:,} test image{'s' if count != 1 else ''}"


def _warning(models: int) -> str:
    return (
        f"The best of {models} test scores is partly luck: choose between models on validation "
        "images or folds."
    )


def _sentence(clause: str) -> str:
    return f"{clause[0].upper()}{clause[1:]}."
