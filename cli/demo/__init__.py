"""`campaigns demo`: a whole campaign against the simulator, and the verdict on what the pipeline made of it."""
