"""What the commands have in common: how they read files and talk to a terminal."""
