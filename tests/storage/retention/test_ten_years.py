"""Ten years of rotation on a directory, month by month: what is there always equals what the pure policy says.

On the real Elasticsearch and on MinIO: tests/integration/test_ten_years.py.
"""

from __future__ import annotations

from pathlib import Path

from storage.verify.archive import check
from tests.storage.archive.samples import open_store
from tests.storage.retention.decade import Decade, lives


def test_in_every_month_of_ten_years_there_is_exactly_what_the_policy_keeps(tmp_path: Path) -> None:
    lives(Decade(tmp_path, open_store(tmp_path / "archive", allow_delete=True)))
    assert list(check(tmp_path / "archive")) == []
