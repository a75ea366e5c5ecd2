"""Job remediation for real: the app on the host, faults in real servers, repairs that are verified."""
