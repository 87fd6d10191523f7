"""`campaigns demo`: a whole campaign against the simulator, and the verdict on the result."""
