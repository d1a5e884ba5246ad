"""Reports: the cards, the pages of a run, and two runs side by side."""

from cnnlab.report import caveats
from cnnlab.report.data_card import dataset_card
from cnnlab.report.model_card import model_card
from cnnlab.report.shown import Shown
from cnnlab.text.markdown import text

__all__ = ["Shown", "caveats", "dataset_card", "model_card", "text"]
