"""Job remediation: from an alert to a verified repair, or to a human with the diagnosis."""
