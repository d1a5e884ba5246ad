"""Statistics that know nothing of images or networks: dependent units, intervals, paired tests."""
