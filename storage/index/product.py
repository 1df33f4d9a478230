"""What this build writes: the fields of each data set, their templates, and how a refused document is mended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from detectors.alert_fields import ALERT_FIELDS, ALERT_STATE_FIELDS
from ingest.formats.registry import all_formats
from ingest.schema.common_fields import COMMON_FIELDS
from ingest.schema.fields import Field
from storage.index.bulk import Mend
from storage.index.client import Version
from storage.index.documents import mender
from storage.index.mapping import tree
from storage.index.names import ALERT_DATASET
from storage.index.templates import Templates, build
from storage.settings import ElasticsearchSettings


def fields_by_dataset() -> Mapping[str, Sequence[Field]]:
    """The vendor's fields of each data set; formats may share one."""
    found: dict[str, list[Field]] = {}
    for each in all_formats().values():
        found.setdefault(each.dataset, []).extend(each.fields)
    return found


def product_templates(settings: ElasticsearchSettings, server: Version) -> Templates:
    """The templates of every data set, of alerts and of their state."""
    return build(COMMON_FIELDS, fields_by_dataset(), ALERT_FIELDS, ALERT_STATE_FIELDS, settings=settings, server=server)


def product_mend() -> Mend:
    """Makes refused documents of every data set acceptable; for the writers of the index and alert roles."""
    of_dataset = {**fields_by_dataset(), ALERT_DATASET: ALERT_FIELDS}
    return mender({dataset: tree([*COMMON_FIELDS, *fields]) for dataset, fields in of_dataset.items()})
