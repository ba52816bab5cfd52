"""`python -m scripts s3`: start a real S3 server on this machine, for trying out the remotes."""

from __future__ import annotations

import shlex
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
    directory_option = "" if folder == ROOT / ".s3" else f" DIR={shlex.quote(str(folder))}"
    print(
        f"S3 server at {server.endpoint}, data in {folder}\n"
        f"this clone's remotes public and private now point at it, in .dvc/config.local\n"
        f"the loader finds it through this clone: loader.load(NAME) in it, loader.load(NAME, repo={str(ROOT)!r}) "
        f"elsewhere\n"
        f"another clone: make s3 DIR={shlex.quote(str(folder))}\n"
        f"the AWS command line and boto3, which know nothing of this clone: export AWS_ENDPOINT_URL={server.endpoint} "
        f"AWS_SHARED_CREDENTIALS_FILE={shlex.quote(str(server.credentials))} AWS_PROFILE={S3_PROFILE}\n"
        f"stop it with: make s3-stop{directory_option}"
    )
