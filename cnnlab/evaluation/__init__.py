"""Numbers from arrays: metrics, intervals, cross-validation."""
