"""The generation API as we see it: a client for its three calls, and readers of what it says about jobs."""
