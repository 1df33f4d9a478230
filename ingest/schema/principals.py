"""Which types of principal (`skytrail.principal.type`) are no people."""

from __future__ import annotations

NOBODY = frozenset({"service", "service_account", "service_principal", "account", "node", "system"}) | {
    "anonymous",
    "instance",
    "function",
}
