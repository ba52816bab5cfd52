"""DVC: stages, the lock, remotes and their objects, pulling, recording."""
