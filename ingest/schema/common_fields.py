"""Fields that documents of any format may hold: ECS 8.11 core, our superset, and what the pipeline adds.

Source of the ECS names: https://www.elastic.co/docs/reference/ecs
"""

from __future__ import annotations

from ingest.schema.fields import Field, FieldType


def _group(prefix: str, type_: FieldType, rows: str) -> list[Field]:
    """Fields below `prefix` of one type, a line each: `name  meaning`; a `*` before the name says it is a list."""
    found = []
    for row in filter(str.strip, rows.splitlines()):
        name, meaning = row.strip().split(None, 1)
        found.append(Field(prefix + name.lstrip("*"), type_, meaning, array=name.startswith("*")))
    return found


_PLACE = """
    city_name        city
    continent_name   continent
    country_iso_code country, ISO 3166-1
    country_name     country in words
    region_iso_code  region, ISO 3166-2
    region_name      region in words
    name             name given by the source
"""

_BASE: list[Field] = [
    Field("@timestamp", "date", "event time by the provider's clock"),
    Field("message", "text", "the event or alert in one line"),
    Field("labels", "flattened", "our flat markers, keys begin with skytrail_"),
    *_group("", "keyword", "*tags  markers such as attack.t1562.008\n ecs.version  version of ECS the names follow"),
    *_group("data_stream.", "keyword", "type  always logs\n dataset  data set\n namespace  tenant or business unit"),
    *_group("observer.", "keyword", "vendor  Skytrail\n product  Skytrail\n version  version of the writer"),
    *_group("error.", "keyword", "code  error code\n type  kind of error"),
    Field("error.message", "text", "error in words", array=True),
]

_EVENT: list[Field] = [
    *_group(
        "event.",
        "keyword",
        """
        kind         event, alert, pipeline_error, …
        *category    ECS categorisation, first level
        *type        ECS categorisation, second level
        action       what was done, in the vendor's words
        outcome      success, failure or unknown
        provider     service that wrote the event
        dataset      data set
        module       module of Elastic's integration
        id           the source's own id of the event
        hash         hex leaf hash of the exact received bytes
        code         code of the event
        reference    link to more
        url          link to this alert
        timezone     zone of the source, where known
        """,
    ),
    Field("event.reason", "text", "why a rule fired, one sentence"),
    *_group(
        "event.", "date", "created  when the source was read\n ingested  when it was indexed\n start  begin\n end  end"
    ),
    *_group("event.", "long", "severity  0, 21, 47, 73 or 99\n duration  nanoseconds"),
    *_group("event.", "double", "risk_score  0 to 100\n risk_score_norm  0 to 100"),
    Field("event.original", "raw", "the received bytes as text"),
]

_USER_PARTS = """
    id         unique id of the user
    domain     domain or directory
    email      address
    type       kind of user
"""


def _user(prefix: str) -> list[Field]:
    return [
        *_group(prefix, "keyword", _USER_PARTS + "\n *roles  roles held"),
        *_group(prefix, "name", "name  short name\n full_name  name in full"),
    ]


_ACTORS: list[Field] = [
    *(f for part in ("", "effective.", "target.", "changes.") for f in _user(f"user.{part}")),
    *_group("user.", "keyword", "group.id  group of the user\n group.name  group of the user"),
    *_group("group.", "keyword", "id  group id\n domain  directory of the group"),
    Field("group.name", "name", "group name"),
    *_user("client.user."),
    *_group("user_agent.", "keyword", "name  client\n version  its version\n device.name  device\n os.name  system"),
    *_group(
        "user_agent.", "keyword", "os.version  system version\n os.full  system in full\n os.platform  system family"
    ),
    Field("user_agent.original", "name", "user agent as sent"),
]


def _endpoint(prefix: str) -> list[Field]:
    return [
        *_group(
            prefix, "keyword", "address  as the source wrote it\n domain  host name\n as.organization.name  network"
        ),
        *_group(prefix, "long", "port  port\n bytes  bytes\n packets  packets\n as.number  autonomous system"),
        Field(f"{prefix}ip", "ip", "the address, only when it is one", array=True),
        *_group(f"{prefix}geo.", "keyword", _PLACE),
        Field(f"{prefix}geo.location", "geo_point", "place"),
    ]


_WHERE: list[Field] = [
    *(f for part in ("source.", "client.", "destination.") for f in _endpoint(part)),
    *_group("geo.", "keyword", _PLACE),
    Field("geo.location", "geo_point", "place"),
    *_group(
        "cloud.",
        "keyword",
        """
        provider           aws, azure, gcp, oci
        account.id         account of the caller
        account.name       its name
        target.account.id  account acted on, when another
        region             region
        service.name       service
        project.id         project
        instance.id        instance
        availability_zone  zone
        """,
    ),
    *_group(
        "", "keyword", "organization.id  tenant of the directory\n organization.name  its name\n service.name  service"
    ),
    *_group("", "keyword", "host.id  host, when the event concerns one\n host.name  its name"),
    *_group("container.", "keyword", "*image.name  images asked for\n id  container\n name  container"),
    *_group(
        "orchestrator.",
        "keyword",
        """
        type           kubernetes
        cluster.name   cluster
        cluster.id     cluster
        cluster.url    API server
        namespace      namespace
        resource.type  kind of resource, plural as in the API
        resource.name  name
        resource.id    uid
        api_version    group/version
        """,
    ),
]

_TRAFFIC: list[Field] = [
    *_group(
        "tls.",
        "keyword",
        "version  1.2, 1.3\n version_protocol  tls\n cipher  suite\n client.server_name  host asked for",
    ),
    *_group("http.", "keyword", "request.method  method\n request.id  id of the request"),
    *_group("http.", "long", "response.status_code  status"),
    *_group("url.", "wildcard", "path  path\n original  as sent"),
    *_group("", "keyword", "url.domain  host\n url.query  query"),
    *_group("", "keyword", "log.level  severity\n log.logger  log name"),
    Field("log.file.path", "wildcard", "locator of the body it came from"),
    Field("log.offset", "long", "ordinal of the record in that body"),
    *_group("file.", "keyword", "path  path\n name  name\n hash.sha256  checksum"),
    *_group("network.", "keyword", "iana_number  protocol number\n transport  tcp, udp\n type  ipv4, ipv6"),
    *_group("network.", "keyword", "direction  direction\n community_id  flow id"),
    *_group("network.", "long", "bytes  both ways\n packets  both ways"),
]

_RELATED: list[Field] = [
    Field("related.ip", "ip", "every address in the event", array=True),
    *_group(
        "related.",
        "keyword",
        "*user  every user name\n *hosts  every host\n *hash  every hash\n *entity  ARNs, resource ids, access-key ids",
    ),
]

_SKYTRAIL: list[Field] = [
    *_group(
        "skytrail.",
        "keyword",
        """
        principal.key      one key of the actor across clouds
        principal.type     kind of principal
        principal.display  name for people
        session.key        access key, session id or correlation id
        *policy.outsiders  who outside the account a written policy or permission lets in: account ids, everyone
        *policy.powers     actions that a written policy allows on every resource
        kafka.topic        raw topic
        collector          collector that received it
        format             name of the format
        format_version     version of the mapping
        uid                uid of the record
        equivocation_of    id of the document that came first under the same uid
        *time.marks        what was odd about the event's time
        """,
    ),
    *_group(
        "skytrail.", "long", "kafka.partition  partition\n kafka.offset  offset\n kafka.index  index in the envelope"
    ),
    *_group("skytrail.integrity.", "keyword", "leaf_hash  hex leaf hash\n batch_id  segment, where known"),
    Field("skytrail.integrity.seq", "long", "sequence of the segment, where known"),
    *_group(
        "skytrail.retention.",
        "keyword",
        "policy  SHA-256 of the policy that was in force at receipt\n class  its class that speaks of this event",
    ),
    *_group(
        "skytrail.retention.",
        "date",
        "hot_until  kept in Elasticsearch until then at least\n retain_until  kept in the archive until then at least",
    ),
    *_group(
        "skytrail.pseudonyms.",
        "keyword",
        "key  id of the key under which people have tokens here\n *kinds  what became tokens: user, email, address"
        "\n version  of what is replaced and how",
    ),
]

COMMON_FIELDS: tuple[Field, ...] = (*_BASE, *_EVENT, *_ACTORS, *_WHERE, *_TRAFFIC, *_RELATED, *_SKYTRAIL)
