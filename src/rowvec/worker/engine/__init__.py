"""The process that computes, and how the listener reaches it."""
