"""What people write who do not use prunesearch: nothing here imports its schedules, its pruning or its training."""
