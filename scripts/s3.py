"""`python -m scripts s3`: start a real S3 server on this machine, for trying out the remotes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scripts._define.definition import ROOT
from scripts._dvc.remotes import clear_local, point_local
from scripts._process.s3_server import BUCKETS, S3_PROFILE, start, stop


def command(
    directory: Annotated[Path, typer.Option(help="The folder for the server's data.")] = ROOT / ".s3",
    stop_it: Annotated[
        bool, typer.Option("--stop", help="Stop the server instead, and remove it from .dvc/config.local.")
    ] = False,
) -> None:
    """Start an S3 server on this machine and point this clone at it, in .dvc/config.local only."""
    folder = directory.resolve()
    if stop_it:
        print("S3 server stopped" if stop(folder) else f"no S3 server is running in {folder}")
        clear_local(ROOT)
        return
    server = start(folder)
    point_local(ROOT, {bucket: f"s3://{bucket}" for bucket in BUCKETS}, server.endpoint, server.credentials)
    print(
        f"S3 server at {server.endpoint}, data in {folder}\n"
        f"this clone's remotes public and private now point at it: dvc push, dvc pull\n"
        f"another clone: make s3 DIR={folder}\n"
        f"other programs: export AWS_ENDPOINT_URL={server.endpoint} "
        f"AWS_SHARED_CREDENTIALS_FILE={server.credentials} AWS_PROFILE={S3_PROFILE}\n"
        f"stop it with: make s3-stop" + ("" if folder == ROOT / ".s3" else f" DIR={folder}")
    )
