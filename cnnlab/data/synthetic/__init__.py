"""The generated default data, and its ground truth."""
