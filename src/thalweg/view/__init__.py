"""``thalweg view``: the runs folder as a site on this machine, live while runs are running."""
