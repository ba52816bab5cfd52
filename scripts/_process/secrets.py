"""Removing secrets from text: the passwords and the query values of URLs."""

from __future__ import annotations

import re

_REST = r"""[^\s&#'"<>]*[^\s&#'"<>.,;:)\]]"""  # punctuation after a URL belongs to the sentence
_USER_INFO = re.compile(r"""(?<=://)[^\s/'"<>]*@""")
# a query also appears without its URL, in the messages of urllib3
_VALUE = re.compile(rf"""(?<=[?&#])([^\s=&?#/'"<>]+)={_REST}""")
_QUERY_WITHOUT_NAMES = re.compile(rf"""(://[^\s?#'"<>]*\?)(?![^\s=&#'"<>]*[=&]){_REST}""")


def without_secrets(text: str) -> str:
    """Return a text without the user names and passwords of its URLs, and with `***` for the values of their queries.

    Any value of a query may be a token: servers choose the names.
    """
    return _QUERY_WITHOUT_NAMES.sub(r"\1***", _VALUE.sub(r"\1=***", _USER_INFO.sub("", text)))
