"""The generation API from our side: a client for its three calls, and readers of what it says about jobs."""
