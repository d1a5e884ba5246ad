"""How training images are varied."""

from dataclasses import dataclass

from cnnlab.config.section import Section, setting


@dataclass(frozen=True)
class AugmentationSettings(Section):
    """Section ``augmentation``; zoom and brightness are half-widths of a factor around 1."""

    rotation: float = setting(20.0, "degrees to either side, at most", low=0, high=180)
    flip: bool = setting(True, "mirror half of the images left to right")
    zoom: float = setting(0.2, "0.2 scales by a factor of 0.8 to 1.2", low=0, high=0.9)
    brightness: float = setting(0.2, "0.2 multiplies pixels by 0.8 to 1.2", low=0, high=1)
