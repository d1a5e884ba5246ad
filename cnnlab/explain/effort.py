"""How much is spent on explaining a network: all of it, or a stated part of it.

A large network at 224 pixels takes a thousand times the arithmetic of a small one at 40. What is
cut for it is cut here, by name, and ``Effort.described`` says it beside the figures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from cnnlab.explain.methods.registry import Method
from cnnlab.explain.network import depth, gratings
from cnnlab.explain.quality import road

# What each needs of an image: many passes through the network, and not one.
COSTLY = ("Score-CAM", "occlusion", "integrated gradients")


@dataclass(frozen=True)
class Effort:
    """What the explanations of a network may cost.

    Attributes:
        feature_maps: That Score-CAM looks through, of each image; None is all of them.
        overlapping: Whether occlusion's patches overlap by half; otherwise they lie side by side.
        gradient_steps: Of integrated gradients.
        curve_steps: Of deletion and insertion curves.
        fractions: Of the pixels, that ROAD removes.
        randomize_costly: Whether the ``COSTLY`` methods are asked again with randomized weights.
        randomized_images: That are asked again with randomized weights.
        validation_images: Looked at for empty maps, patches, probes and the map of images; None
            is all of them.
        training_images: That fit the probes.
        climbed: Channels of a stage for which a picture is climbed.
        climb_steps: Of each such climb.
        orientations: Of gratings, degrees, evenly over 180.
        phases: Of each grating.
        randomizations: Of the weights, for the gratings.
    """

    feature_maps: int | None = None
    overlapping: bool = True
    gradient_steps: int = 64
    curve_steps: int = 10
    fractions: tuple[float, ...] = road.FRACTIONS
    randomize_costly: bool = True
    randomized_images: int = 12
    validation_images: int | None = None
    training_images: int = 480
    climbed: int = 6
    climb_steps: int = 40
    orientations: tuple[int, ...] = gratings.ORIENTATIONS
    phases: int = gratings.PHASES
    randomizations: int = depth.RANDOMIZATIONS

    def methods(self, methods: Mapping[str, Method], size: int) -> dict[str, Method]:
        """Return heatmap methods with this effort set.

        Args:
            methods: Name → method, as from ``registry.fitting``.
            size: Pixels a side of the images.
        """
        options: dict[str, dict[str, int]] = {
            "Score-CAM": {"channels": self.feature_maps} if self.feature_maps else {},
            "occlusion": {} if self.overlapping else {"stride": max(1, size // 8)},
            "integrated gradients": {"steps": self.gradient_steps},
        }
        return {
            name: partial(method, **options[name]) if options.get(name) else method
            for name, method in methods.items()
        }

    def randomized(self, methods: Mapping[str, Method], size: int) -> dict[str, Method]:
        """Return the methods that are asked again with randomized weights.

        Occlusion then moves by whole patches, whatever the effort.
        """
        asked = {
            name: method
            for name, method in methods.items()
            if self.randomize_costly or name not in COSTLY
        }
        if "occlusion" in asked:
            asked["occlusion"] = partial(asked["occlusion"], stride=max(1, size // 8))
        return asked

    def some(self, count: int, *, seed: int) -> np.ndarray:
        """Return which of ``count`` validation images are looked at, int64, in their order."""
        if self.validation_images is None or count <= self.validation_images:
            return np.arange(count)
        drawn = np.random.default_rng(seed).permutation(count)
        return np.sort(drawn[: self.validation_images])

    def described(self) -> str:
        """Return what is left out beside the full effort, in a sentence."""
        if self == Effort():
            return "Nothing is left out to save time."
        full = Effort()
        counted = (
            ("climb steps", self.climb_steps, full.climb_steps),
            ("steps of integrated gradients", self.gradient_steps, full.gradient_steps),
            ("steps of a curve", self.curve_steps, full.curve_steps),
            ("fractions for ROAD", len(self.fractions), len(full.fractions)),
            ("channels climbed a stage", self.climbed, full.climbed),
            ("orientations", len(self.orientations), len(full.orientations)),
            ("phases of a grating", self.phases, full.phases),
            ("randomized images", self.randomized_images, full.randomized_images),
            ("randomizations", self.randomizations, full.randomizations),
            ("training images for the probes", self.training_images, full.training_images),
        )
        said = [f"{mine} {what} (of {all_})" for what, mine, all_ in counted if mine != all_]
        if self.feature_maps:
            said.insert(0, f"Score-CAM through the {self.feature_maps} feature maps that vary most")
        if not self.overlapping:
            said.append("occlusion's patches side by side, not overlapping")
        if not self.randomize_costly:
            said.append(f"{', '.join(COSTLY)} not asked again with randomized weights")
        if self.validation_images:
            said.append(f"at most {self.validation_images} validation images for the other figures")
        return f"To save time: {'; '.join(said)}. The whole: --set explanations=full."


EFFORTS = {
    "full": Effort(),
    "brief": Effort(
        feature_maps=32,
        overlapping=False,
        gradient_steps=16,
        curve_steps=5,
        fractions=(0.3,),
        randomize_costly=False,
        validation_images=200,
        training_images=300,
        climbed=3,
        climb_steps=20,
        orientations=tuple(range(0, 180, 30)),
        phases=2,
    ),
}
