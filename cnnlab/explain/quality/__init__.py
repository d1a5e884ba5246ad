"""Are the heatmaps right? Faithfulness, deletion, randomized weights."""
