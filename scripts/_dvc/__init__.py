"""DVC: stages, `dvc.lock`, remotes and their objects, pulling and tracking files."""
