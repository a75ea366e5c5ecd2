"""What makes wanted states real: scheduler, kubelets and the controllers of workloads, jobs and autoscalers."""
