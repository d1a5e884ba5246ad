"""How the network is judged."""

from dataclasses import dataclass

from cnnlab.config.section import Section, setting
from cnnlab.config.seeds import parsed_seeds


@dataclass(frozen=True)
class EvaluationSettings(Section):
    """Section ``evaluation``; it changes no weight of the model that ships, nor its answers."""

    folds: int = setting(5, "parts of the cross-validation", low=2, high=20)
    fold_epochs: int = setting(50, "epochs of each fold, at most", low=1, high=10_000)
    bootstrap_samples: int = setting(
        2000, "resamples behind the bootstrap intervals", low=10, high=100_000
    )
    strangers: int = setting(
        300, "generated pictures of no class, to measure 'none of these'", low=20, high=10_000
    )
    explained_images: int = setting(
        24, "validation images on which heatmaps are measured", low=2, high=1000
    )
    explanations: str = setting(
        "full",
        "brief: notebook 05 takes fewer images, channels and steps, and says how many",
        choices=("full", "brief"),
    )
    more_seeds: str = setting(
        "", "seeds of further trainings on the same split, such as 1,2, for mean ± deviation"
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        plain = ",".join(map(str, parsed_seeds(self.more_seeds)))
        object.__setattr__(self, "more_seeds", plain)  # equal lists are equal texts
