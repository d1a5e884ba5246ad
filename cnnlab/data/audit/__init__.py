"""What is wrong or odd in a dataset: copies, leaks, outliers, changes."""
