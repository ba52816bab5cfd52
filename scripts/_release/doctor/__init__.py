"""What can be broken in a clone and on its remotes: a module for each kind of check, and the repairs that are safe."""
