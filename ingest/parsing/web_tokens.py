"""Finding JSON web tokens (RFC 7519) in any bytes, in time that grows with their length only.

Whoever is watched can write what they like into a record. The plain pattern `eyJ….eyJ….…` is tried again at each `eyJ`
and reads on to the end of the run each time, so a text of nothing but `eyJ` would hold up whoever searches it. Here a
run of the token's characters is looked at from its beginning only, and only if what follows it can be a token.
"""

from __future__ import annotations

import re

_WORD = b"<redacted>"
_OF = rb"[A-Za-z0-9_-]"
_TOKEN = re.compile(
    rb"(?<!%(of)b)(?=%(of)b++\.eyJ%(of)b{8,}+\.)(%(of)b*?)eyJ%(of)b{8,}+\.eyJ%(of)b{8,}+\.%(of)b*+" % {b"of": _OF}
)


def without_web_tokens(text: bytes) -> bytes:
    """The text with `<redacted>` for each token; the same object when there is none."""
    if b"eyJ" not in text or not _TOKEN.search(text):
        return text
    return _TOKEN.sub(rb"\1%b" % _WORD, text)
