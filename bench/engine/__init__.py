"""Running a plan: networks, observations, cells, results."""
