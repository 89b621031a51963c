"""CSV files that people upload: received, checked by a worker, decided on by a person, applied by a worker."""
