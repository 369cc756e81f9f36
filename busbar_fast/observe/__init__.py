"""What the process says about itself; knows nothing of the rest."""
