"""What in a config map is a credential: by the name it stands under, or by its form. Pure, linear in the text.

Config maps hold whole files (properties, YAML, JSON, INI, shell), so names are looked for inside of values as well. A
name alone is no secret: `password` of `{"password": ""}` stays, and so does `passwordPolicy`.
"""

from __future__ import annotations

import re

_WORD = "<redacted>"
_NAME = (
    r"(?:pass(?:word|wd|phrase)|pwd|secret|token|credentials?"
    r"|(?:api|access|account|private|encryption|signing|shared|auth)[_.-]?key|connection[_.-]?string|conn[_.-]?str)"
)
_ENDS = re.compile(_NAME + "$", re.IGNORECASE)
_PAIR = re.compile(
    _NAME.join(("(", r"""["']?[ \t]{0,8}(?:[:=]|=>)[ \t]{0,8})("[^"\n]*"|'[^'\n]*'|[^\s,;&"'}]+)""")), re.IGNORECASE
)
_URL = re.compile(r"([a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{0,256}:)([^\s/@\"']{1,256})(@)", re.IGNORECASE)
_PEM = re.compile(r"-----BEGIN [A-Z ]{0,20}PRIVATE KEY-----[^-]*+(?:-----END [A-Z ]{0,20}PRIVATE KEY-----)?")
_PUBLIC = frozenset(("true", "false", "null", "none", "~", "yes", "no"))


def is_credential(key: str) -> bool:
    """Whether what stands under this key is a credential by its name (`DB_PASSWORD`, `apiKey`, `client-secret`)."""
    return _ENDS.search(key[-64:]) is not None


def without_credentials(text: str) -> str:
    """The text with the values of credentials replaced; the same text when there are none."""
    if "PRIVATE KEY" in text:
        text = _PEM.sub(_WORD, text)
    if "://" in text:
        text = _URL.sub(rf"\1{_WORD}\3", text)
    return _PAIR.sub(_without_value, text)


def _without_value(pair: re.Match[str]) -> str:
    name, value = pair.groups()
    bare = value.strip("\"'")
    if not bare or bare.lower() in _PUBLIC or bare == _WORD or bare.startswith(("${", "$(", "/", "{{")):
        return pair.group()  # nothing, a switch, a reference to a value elsewhere, or the path of a file
    quote = value[0] if value[0] in "\"'" else ""
    return f"{name}{quote}{_WORD}{quote}"
