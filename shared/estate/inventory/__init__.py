"""What there is: environments and everything in them. Facts only; what is done with them is in `policies`."""
