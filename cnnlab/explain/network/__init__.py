"""What a network has learnt, stage by stage."""
