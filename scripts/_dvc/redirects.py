"""Keep DVC's S3 client from following redirects. Importing this module imports that client."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import Any

from aiobotocore.httpsession import AIOHTTPSession
from aiobotocore.session import AioSession


def follow_no_redirects(filesystem: Any) -> None:
    """Make an S3 file system of DVC, which is not connected yet, end with an error if it is redirected.

    Otherwise aiohttp repeats the request at any address that the answer names, with the session token and the object.
    """
    arguments = filesystem.fs_args  # of s3fs
    if "session" in arguments:
        return
    arguments["session"] = session = AioSession(profile=arguments.pop("profile", None))
    session.register("needs-retry.s3.HeadBucket", _end)
    arguments["config_kwargs"] = {**arguments.get("config_kwargs", {}), "http_session_cls": _HttpSession}


class _HttpSession(AIOHTTPSession):  # type: ignore[misc]
    async def _get_session(self, proxy_url: str | None) -> Any:
        session = await super()._get_session(proxy_url)
        return SimpleNamespace(request=partial(session.request, allow_redirects=False))  # nothing else of it is used


def _end(response: Any, **_: object) -> None:
    """Let no redirect of a question for the region of a bucket make botocore ask again, without end."""
    if response is not None and 300 <= response[0].status_code < 400:
        response[0].status_code = 400
