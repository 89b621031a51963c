"""What runs without a person waiting: the schedule, the dispatcher, the runner, and one thin job per sync."""
