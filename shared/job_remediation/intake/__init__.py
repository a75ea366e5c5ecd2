"""What senders tell, read into signals: one module for each family of formats."""
