"""A Kubernetes API server with the controllers that Closekeeper's work depends on, in this process."""
