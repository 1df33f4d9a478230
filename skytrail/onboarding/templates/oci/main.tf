# Oracle Cloud audit events for Skytrail: Connector Hub moves the audit log of the compartment and all below it into a
# stream, which the collector reads as a Kafka topic. Apply in the home region, as an administrator of the tenancy.

terraform {
  required_version = ">= 1.5"
  required_providers {
    oci = { source = "oracle/oci", version = ">= 5.30" }
  }
}

provider "oci" {
  region = "@{region}"
}

variable "name" {
  type    = string
  default = "@{name}"
}

variable "tenancy_id" {
  type    = string
  default = "@{tenancy}"
}

variable "compartment_id" {
  description = "Compartment that gets the stream; audit events come from the whole tenancy."
  type        = string
  default     = "@{compartment}"
}

variable "reader_email" {
  description = "Address of the reader; tenancies with identity domains ask for one, that no other user has."
  type        = string
  default     = "@{email}"
}

resource "oci_streaming_stream_pool" "logs" {
  compartment_id = var.compartment_id
  name           = var.name
  kafka_settings {
    auto_create_topics_enable = false
  }
}

resource "oci_streaming_stream" "audit" {
  name               = "${var.name}-audit"
  stream_pool_id     = oci_streaming_stream_pool.logs.id
  partitions         = 4
  retention_in_hours = 168 # the longest that a stream keeps: the longest outage that the collector may have
}

resource "oci_sch_service_connector" "audit" {
  compartment_id = var.compartment_id
  display_name   = var.name
  source {
    kind = "logging"
    log_sources {
      compartment_id = var.tenancy_id
      log_group_id   = "_Audit_Include_Subcompartment"
    }
  }
  target {
    kind      = "streaming"
    stream_id = oci_streaming_stream.audit.id
  }
}

resource "oci_identity_policy" "connector" {
  compartment_id = var.compartment_id
  name           = "${var.name}-connector"
  description    = "Connector Hub writes audit events into the stream."
  statements = [
    join(" ", [
      "allow any-user to use stream-push in compartment id ${var.compartment_id} where all {",
      "request.principal.type='serviceconnector', target.stream.id='${oci_streaming_stream.audit.id}',",
      "request.principal.compartment.id='${var.compartment_id}'}",
    ]),
  ]
}

resource "oci_identity_group" "readers" {
  compartment_id = var.tenancy_id
  name           = "${var.name}-readers"
  description    = "Collectors of Skytrail."
}

resource "oci_identity_user" "reader" {
  compartment_id = var.tenancy_id
  name           = "${var.name}-reader"
  description    = "Reads the audit stream for Skytrail."
  email          = var.reader_email == "" ? null : var.reader_email
}

resource "oci_identity_user_capabilities_management" "reader" {
  user_id                      = oci_identity_user.reader.id
  can_use_auth_tokens          = true # the password of the Kafka log-in
  can_use_api_keys             = false
  can_use_console_password     = false
  can_use_customer_secret_keys = false
  can_use_smtp_credentials     = false
}

resource "oci_identity_user_group_membership" "reader" {
  group_id = oci_identity_group.readers.id
  user_id  = oci_identity_user.reader.id
}

resource "oci_identity_policy" "readers" {
  compartment_id = var.tenancy_id
  name           = "${var.name}-readers"
  description    = "Collectors of Skytrail read the audit stream."
  statements = [
    "allow group ${oci_identity_group.readers.name} to use stream-pull in compartment id ${var.compartment_id} where target.stream.id='${oci_streaming_stream.audit.id}'",
    "allow group ${oci_identity_group.readers.name} to inspect streampools in compartment id ${var.compartment_id}",
  ]
}

output "bootstrap_servers" { value = oci_streaming_stream_pool.logs.kafka_settings[0].bootstrap_servers }
output "topic" { value = oci_streaming_stream.audit.name }
output "stream_pool_id" { value = oci_streaming_stream_pool.logs.id }
output "user_name" { value = oci_identity_user.reader.name }
