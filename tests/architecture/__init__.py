"""What holds for the code as a whole: layers, ownership of names, the state of the repository."""
