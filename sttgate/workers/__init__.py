"""Several processes that are one gateway: a supervisor, a worker for each core, and what joins them."""
