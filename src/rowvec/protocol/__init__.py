"""What clients and the worker say to each other: bytes to messages and back, no sockets."""
