"""What the report looks like."""

from dataclasses import dataclass

from cnnlab.config.section import Section, setting


@dataclass(frozen=True)
class ReportSettings(Section):
    """Section ``report``; it changes no number."""

    figure_dpi: int = setting(144, "dots an inch of the saved figures", low=50, high=600)
    example_images: int = setting(
        6, "images in a figure of examples: of a class, of errors, of heatmaps", low=2, high=12
    )
