# Cloud Audit Logs for Skytrail: a sink of the @{scope_kind} into Pub/Sub, a subscription with dead letters, and a
# service account that can pull from it and nothing else.

terraform {
  required_version = ">= 1.5"
  required_providers {
    google = { source = "hashicorp/google", version = ">= 5.20" }
  }
}

provider "google" {
  project = "@{project}"
}

variable "name" {
  type    = string
  default = "@{name}"
}

variable "organisation_id" {
  description = "Empty for a sink of this project alone; digits for a sink of the whole organisation."
  type        = string
  default     = "@{organisation}"
}

variable "data_access" {
  description = "Switch data access logs on for all services (charged by volume; reads are invisible without them)."
  type        = bool
  default     = @{data_events_bool}
}

variable "reader_members" {
  description = "Who may act as the reader, e.g. principal://… of a workload identity pool."
  type        = list(string)
  default     = [@{reader_list}]
}

locals {
  # Audit logs and VPC flow logs (of subnetworks; of tunnels and interconnects), whatever project they come from.
  logs   = ["cloudaudit.googleapis.com", "compute.googleapis.com%2Fvpc_flows", "networkmanagement.googleapis.com%2Fvpc_flows"]
  filter = "logName:(${join(" OR ", [for log in local.logs : "\"${log}\""])})"
}

data "google_project" "this" {}

resource "google_pubsub_topic" "logs" {
  name                       = var.name
  message_retention_duration = "604800s" # a week: the longest outage that the collector may have
}

resource "google_pubsub_topic" "dead_letters" {
  name                       = "${var.name}-dead-letters"
  message_retention_duration = "2678400s"
}

resource "google_pubsub_subscription" "logs" {
  name                         = var.name
  topic                        = google_pubsub_topic.logs.id
  ack_deadline_seconds         = 60 # the collector extends it while a message is in work
  message_retention_duration   = "604800s"
  retain_acked_messages        = false
  enable_exactly_once_delivery = true
  expiration_policy {
    ttl = "" # never
  }
  retry_policy {
    minimum_backoff = "10s"
    maximum_backoff = "600s"
  }
  dead_letter_policy {
    dead_letter_topic     = google_pubsub_topic.dead_letters.id
    max_delivery_attempts = 20
  }
}

resource "google_pubsub_subscription" "dead_letters" {
  name                       = "${var.name}-dead-letters"
  topic                      = google_pubsub_topic.dead_letters.id
  message_retention_duration = "2678400s"
  expiration_policy {
    ttl = ""
  }
}

# Pub/Sub itself forwards to the dead letters and acknowledges what it forwarded.
resource "google_pubsub_topic_iam_member" "forward" {
  topic  = google_pubsub_topic.dead_letters.id
  role   = "roles/pubsub.publisher"
  member = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_pubsub_subscription_iam_member" "forward" {
  subscription = google_pubsub_subscription.logs.id
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:service-${data.google_project.this.number}@gcp-sa-pubsub.iam.gserviceaccount.com"
}

resource "google_logging_project_sink" "logs" {
  count                  = var.organisation_id == "" ? 1 : 0
  name                   = var.name
  destination            = "pubsub.googleapis.com/${google_pubsub_topic.logs.id}"
  filter                 = local.filter
  unique_writer_identity = true
}

resource "google_logging_organization_sink" "logs" {
  count            = var.organisation_id == "" ? 0 : 1
  name             = var.name
  org_id           = var.organisation_id
  include_children = true
  destination      = "pubsub.googleapis.com/${google_pubsub_topic.logs.id}"
  filter           = local.filter
}

resource "google_pubsub_topic_iam_member" "sink" {
  topic  = google_pubsub_topic.logs.id
  role   = "roles/pubsub.publisher"
  member = one(concat(google_logging_project_sink.logs[*].writer_identity, google_logging_organization_sink.logs[*].writer_identity))
}

resource "google_project_iam_audit_config" "project" {
  count   = var.data_access && var.organisation_id == "" ? 1 : 0
  project = data.google_project.this.project_id
  service = "allServices"
  dynamic "audit_log_config" {
    for_each = ["ADMIN_READ", "DATA_READ", "DATA_WRITE"]
    content {
      log_type = audit_log_config.value
    }
  }
}

resource "google_organization_iam_audit_config" "organisation" {
  count   = var.data_access && var.organisation_id != "" ? 1 : 0
  org_id  = var.organisation_id
  service = "allServices"
  dynamic "audit_log_config" {
    for_each = ["ADMIN_READ", "DATA_READ", "DATA_WRITE"]
    content {
      log_type = audit_log_config.value
    }
  }
}

resource "google_service_account" "reader" {
  account_id   = "${var.name}-reader"
  display_name = "Skytrail: pulls audit logs"
}

resource "google_pubsub_subscription_iam_member" "reader" {
  subscription = google_pubsub_subscription.logs.id
  role         = "roles/pubsub.subscriber"
  member       = "serviceAccount:${google_service_account.reader.email}"
}

# What `skytrail onboard check` reads: the subscription itself, and nothing in it.
resource "google_pubsub_subscription_iam_member" "check" {
  subscription = google_pubsub_subscription.logs.id
  role         = "roles/pubsub.viewer"
  member       = "serviceAccount:${google_service_account.reader.email}"
}

resource "google_service_account_iam_member" "act_as" {
  for_each           = toset(var.reader_members)
  service_account_id = google_service_account.reader.name
  role               = "roles/iam.workloadIdentityUser"
  member             = each.value
}

output "subscription" { value = google_pubsub_subscription.logs.id }
output "reader" { value = google_service_account.reader.email }
