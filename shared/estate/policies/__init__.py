"""What is done with the inventory, one module per automation. An automation without its section does nothing."""
