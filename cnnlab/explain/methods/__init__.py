"""Heatmaps: one module a family of methods."""
