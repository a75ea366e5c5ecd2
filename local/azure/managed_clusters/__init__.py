"""Microsoft.ContainerService/managedClusters, API 2026-08-01: clusters may have a Kubernetes API behind them."""
