"""Storage tiering: which blobs move where or go, what that costs and saves, and what holds them. Pure."""
