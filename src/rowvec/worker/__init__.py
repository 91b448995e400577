"""The worker: a listener that answers at once and an engine that computes, two processes."""
