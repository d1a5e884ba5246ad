"""The model folder: its contract, its SavedModel, its predictor."""
