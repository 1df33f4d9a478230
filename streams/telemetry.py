"""Every metric of the workers, declared once. Values are updated per batch, labels are bounded."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

SOURCE = ("role", "source")
DELAY_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
WINDOW_BUCKETS = (0.5, 1, 2.5, 5, 7.5, 10, 30, 65, 120, 300, 900, 3600)


class Telemetry:
    """The metrics of one worker process in a registry of their own.

    Attributes:
        records: Records by role, source (`namespace|format|collector`) and outcome.
    """

    def __init__(self) -> None:
        """Declare every metric."""
        self.registry = CollectorRegistry()
        self.records = Counter("skytrail_events", "Records by outcome", (*SOURCE, "outcome"), registry=self.registry)
        self.bytes = Counter("skytrail_event_bytes", "Bytes of records received", SOURCE, registry=self.registry)
        self.dead_letters = Counter(
            "skytrail_dlq_messages", "Dead letters written", ("role", "reason"), registry=self.registry
        )
        self._declare_detection()
        self.rules = Gauge("skytrail_rules_loaded", "Rules evaluated", registry=self.registry)
        self.rules_refused = Gauge(
            "skytrail_rules_refused",
            "Rules, correlations and filters of the set in force that are left out: broken, or failing their own tests",
            registry=self.registry,
        )
        self.rule_reloads = Counter(
            "skytrail_rule_reloads", "Changed rule sets by outcome", ("outcome",), registry=self.registry
        )
        self._declare_sources()
        self._declare_ledger()
        self._declare_rotation()
        self.lag = Gauge(
            "skytrail_kafka_consumer_lag_messages",
            "Messages not yet done",
            ("topic", "partition"),
            registry=self.registry,
        )
        self.commit_age = Gauge(
            "skytrail_kafka_commit_age_seconds", "Seconds since a batch was done", registry=self.registry
        )
        self.stage = Histogram(
            "skytrail_stage_duration_seconds", "Seconds per batch", ("role", "stage"), registry=self.registry
        )
        self.delay = Histogram(
            "skytrail_event_ingest_delay_seconds",
            "Seconds from receipt to done",
            ("role",),
            buckets=DELAY_BUCKETS,
            registry=self.registry,
        )
        self.waits = Counter(
            "skytrail_waits", "Times a worker had to wait for something", ("role", "what"), registry=self.registry
        )
        self.bulk_seconds = Histogram("skytrail_es_bulk_seconds", "Seconds per bulk request", registry=self.registry)
        self.bulk_documents = Counter("skytrail_es_bulk_items", "Documents answered by bulk", registry=self.registry)
        self.bulk_bytes = Counter("skytrail_es_bulk_bytes", "Bytes sent by bulk", registry=self.registry)
        self.build = Gauge("skytrail_build_info", "Always 1", ("version", "ruleset"), registry=self.registry)

    def _declare_detection(self) -> None:
        """What rules and correlations came to."""
        self.alerts = Counter("skytrail_alerts", "Alerts opened", ("severity",), registry=self.registry)
        self.folded = Counter(
            "skytrail_alerts_suppressed", "Matches folded into an open alert", ("severity",), registry=self.registry
        )
        self.alerts_forgotten = Counter(
            "skytrail_alert_groups_forgotten",
            "Alerts that matches may still fold into, given up because there were too many",
            registry=self.registry,
        )
        self.rule_errors = Counter(
            "skytrail_rule_errors",
            "Events on which a rule, a filter of the index or an exception raised",
            ("rule_id",),
            registry=self.registry,
        )
        self.signals_left_out = Counter(
            "skytrail_signals_left_out",
            "Signals of correlations not counted, by reason",
            ("why",),
            registry=self.registry,
        )
        self.exceptions = Gauge(
            "skytrail_exceptions", "Exceptions of the rule set by state", ("state",), registry=self.registry
        )
        self.excepted = Counter(
            "skytrail_matches_excepted",
            "Matches that an exception kept from people",
            ("exception", "rule_id"),
            registry=self.registry,
        )

    def _declare_sources(self) -> None:
        """What the worker that watches over sources knows of each."""
        self.source_last = Gauge(
            "skytrail_source_last_event_timestamp_seconds",
            "When records of a source were last received",
            ("source",),
            registry=self.registry,
        )
        self.source_expected = Gauge(
            "skytrail_source_expected_interval_seconds",
            "Interval in which a source brings something; 0: not known yet",
            ("source",),
            registry=self.registry,
        )
        self.source_silent = Gauge(
            "skytrail_source_silent", "1 while a source is silent", ("source",), registry=self.registry
        )

    def _declare_ledger(self) -> None:
        """How far the ledgers are, and for how long nobody could prove anything."""
        namespace = ("namespace",)
        self.ledger_entries = Gauge(
            "skytrail_ledger_entries", "Entries of the newest checkpoint", namespace, registry=self.registry
        )
        self.ledger_time = Gauge(
            "skytrail_ledger_checkpoint_timestamp_seconds",
            "When this worker last published a checkpoint",
            namespace,
            registry=self.registry,
        )
        self.anchor_answers = Counter(
            "skytrail_ledger_anchor_answers",
            "Answers of witnesses and time stamping authorities",
            ("kind", "who", "outcome"),
            registry=self.registry,
        )
        self.anchor_waits = Gauge(
            "skytrail_ledger_anchor_wait_seconds",
            "For how long the oldest entry without a quorum of cosignatures, or without a time stamp, has waited",
            ("kind", "namespace"),
            registry=self.registry,
        )
        self.anchored = Histogram(
            "skytrail_ledger_anchor_seconds",
            "Seconds from a new checkpoint to its quorum of cosignatures, or to its time stamp",
            ("kind", "namespace"),
            buckets=WINDOW_BUCKETS,
            registry=self.registry,
        )
        self.key_expires = Gauge(
            "skytrail_ledger_key_expires_timestamp_seconds",
            "When the keys end that sign the ledgers now",
            registry=self.registry,
        )
        self.open_window = Histogram(
            "skytrail_ledger_open_window_seconds",
            "Seconds from the receipt of a batch's oldest record to the checkpoint that includes it",
            namespace,
            buckets=WINDOW_BUCKETS,
            registry=self.registry,
        )

    def _declare_rotation(self) -> None:
        """What the worker that rotates did and has left, and how full Elasticsearch is."""
        self.rotation_rounds = Counter(
            "skytrail_rotation_rounds", "Rounds of rotation by outcome", ("outcome",), registry=self.registry
        )
        self.rotation_time = Gauge(
            "skytrail_rotation_round_timestamp_seconds", "When a round last came to its end", registry=self.registry
        )
        self.rotation_results = Counter(
            "skytrail_rotation_results",
            "Indices and groups of segments by outcome",
            ("outcome",),
            registry=self.registry,
        )
        self.rotation_left = Gauge(
            "skytrail_rotation_left", "What the last round left, by what it waits for", ("why",), registry=self.registry
        )
        self.rotation_overdue = Gauge(
            "skytrail_rotation_overdue_seconds",
            "For how long the oldest of what is left has been over",
            registry=self.registry,
        )
        self.disk_used = Gauge(
            "skytrail_es_disk_used_ratio", "Part of a node's disk in use", ("node",), registry=self.registry
        )
        self.disk_warning = Gauge(
            "skytrail_es_disk_warning",
            "1 while a node's disk is above the watermark",
            ("node",),
            registry=self.registry,
        )
