"""What a fair comparison of optimizers is made of: spaces, paired statistics, times to a target, a verdict in words."""
