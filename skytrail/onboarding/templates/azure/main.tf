# Azure Activity, Entra and resource logs for Skytrail: diagnostic settings into one Event Hub per kind of log, a
# container for checkpoints, and the two narrow roles that the collector's identity needs.
# Apply with an identity that is Owner of the subscription and Security Administrator of the tenant.

terraform {
  required_version = ">= 1.5"
  required_providers {
    azurerm = { source = "hashicorp/azurerm", version = "~> 4.12" } # namespace_id of hubs since 4.12; 5 was not tried
  }
}

provider "azurerm" {
  subscription_id     = "@{subscription}"
  storage_use_azuread = true # the account below takes no keys
  features {
    storage {
      data_plane_available = false # who applies this needs no right to read queues and blobs
    }
  }
}

variable "name" {
  type    = string
  default = "@{name}"
}

variable "location" {
  type    = string
  default = "@{region}"
}

variable "reader_object_id" {
  description = "Object id of the identity as which the collector runs."
  type        = string
  default     = "@{reader}"
}

variable "key_vault_ids" {
  description = "Key vaults, and other resources with a category group `audit`, whose resource logs are wanted."
  type        = list(string)
  default     = []
}

variable "storage_account_ids" {
  description = "Storage accounts whose reads, writes and deletions are wanted."
  type        = list(string)
  default     = []
}

variable "storage_services" {
  description = "Their services; an account logs nothing itself. Not every kind of account has fileServices, queueServices and tableServices."
  type        = list(string)
  default     = ["blobServices"]
}

variable "aks_cluster_ids" {
  description = "AKS clusters whose audit log is wanted."
  type        = list(string)
  default     = []
}

locals {
  hubs = toset(["activity", "signin", "risk", "audit", "platform", "kube-audit"])
  identity_categories = {
    signin = ["SignInLogs", "NonInteractiveUserSignInLogs", "ServicePrincipalSignInLogs", "ManagedIdentitySignInLogs"]
    risk   = ["UserRiskEvents", "RiskyUsers", "ServicePrincipalRiskEvents", "RiskyServicePrincipals"]
    audit  = ["AuditLogs"]
  }
}

resource "azurerm_resource_group" "this" {
  name     = var.name
  location = var.location
}

resource "azurerm_eventhub_namespace" "this" {
  name                         = "${var.name}-logs"
  location                     = azurerm_resource_group.this.location
  resource_group_name          = azurerm_resource_group.this.name
  sku                          = "Standard"
  capacity                     = 1
  auto_inflate_enabled         = true
  maximum_throughput_units     = 10
  minimum_tls_version          = "1.2"
  local_authentication_enabled = true # diagnostic settings write with the rule below
}

resource "azurerm_eventhub" "logs" {
  for_each          = local.hubs
  name              = each.key
  namespace_id      = azurerm_eventhub_namespace.this.id
  partition_count   = 4
  message_retention = 7 # days: the longest outage that the collector may have
}

resource "azurerm_eventhub_consumer_group" "skytrail" {
  for_each            = local.hubs
  name                = "skytrail"
  namespace_name      = azurerm_eventhub_namespace.this.name
  eventhub_name       = azurerm_eventhub.logs[each.key].name
  resource_group_name = azurerm_resource_group.this.name
}

resource "azurerm_eventhub_namespace_authorization_rule" "diagnostics" {
  name                = "diagnostics"
  namespace_name      = azurerm_eventhub_namespace.this.name
  resource_group_name = azurerm_resource_group.this.name
  listen              = true # Azure Monitor asks for all three
  send                = true
  manage              = true
}

resource "azurerm_storage_account" "checkpoints" {
  name                            = substr(replace("${var.name}checkpoints", "/[^a-z0-9]/", ""), 0, 24)
  resource_group_name             = azurerm_resource_group.this.name
  location                        = azurerm_resource_group.this.location
  account_tier                    = "Standard"
  account_replication_type        = "ZRS"
  min_tls_version                 = "TLS1_2"
  shared_access_key_enabled       = false
  allow_nested_items_to_be_public = false
  default_to_oauth_authentication = true
}

resource "azurerm_storage_container" "checkpoints" {
  for_each           = local.hubs # one per hub and consumer group: shared ones stall each other
  name               = "checkpoints-${each.key}"
  storage_account_id = azurerm_storage_account.checkpoints.id
}

resource "azurerm_role_assignment" "receive" {
  for_each             = local.hubs
  scope                = azurerm_eventhub.logs[each.key].id
  role_definition_name = "Azure Event Hubs Data Receiver"
  principal_id         = var.reader_object_id
}

resource "azurerm_role_assignment" "checkpoint" {
  scope                = azurerm_storage_account.checkpoints.id
  role_definition_name = "Storage Blob Data Contributor"
  principal_id         = var.reader_object_id
}

resource "azurerm_monitor_diagnostic_setting" "activity" {
  name                           = var.name
  target_resource_id             = "/subscriptions/@{subscription}"
  eventhub_name                  = azurerm_eventhub.logs["activity"].name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics.id

  dynamic "enabled_log" {
    for_each = ["Administrative", "Security", "ServiceHealth", "Alert", "Recommendation", "Policy", "Autoscale", "ResourceHealth"]
    content {
      category = enabled_log.value
    }
  }
}

resource "azurerm_monitor_aad_diagnostic_setting" "entra" {
  for_each                       = local.identity_categories
  name                           = "${var.name}-${each.key}"
  eventhub_name                  = azurerm_eventhub.logs[each.key].name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics.id

  dynamic "enabled_log" {
    for_each = each.value
    content {
      category = enabled_log.value
    }
  }
}

resource "azurerm_monitor_diagnostic_setting" "resources" {
  for_each                       = toset(var.key_vault_ids)
  name                           = var.name
  target_resource_id             = each.value
  eventhub_name                  = azurerm_eventhub.logs["platform"].name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics.id

  enabled_log {
    category_group = "audit"
  }
}

resource "azurerm_monitor_diagnostic_setting" "storage" {
  for_each                       = toset([for pair in setproduct(var.storage_account_ids, var.storage_services) : "${pair[0]}/${pair[1]}/default"])
  name                           = var.name
  target_resource_id             = each.value
  eventhub_name                  = azurerm_eventhub.logs["platform"].name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics.id

  dynamic "enabled_log" {
    for_each = ["StorageRead", "StorageWrite", "StorageDelete"]
    content {
      category = enabled_log.value
    }
  }
}

resource "azurerm_monitor_diagnostic_setting" "aks" {
  for_each                       = toset(var.aks_cluster_ids)
  name                           = var.name
  target_resource_id             = each.value
  eventhub_name                  = azurerm_eventhub.logs["kube-audit"].name
  eventhub_authorization_rule_id = azurerm_eventhub_namespace_authorization_rule.diagnostics.id

  enabled_log {
    category = "kube-audit"
  }
}

output "event_hubs_namespace" { value = "${azurerm_eventhub_namespace.this.name}.servicebus.windows.net" }
output "checkpoint_account" { value = azurerm_storage_account.checkpoints.primary_blob_endpoint }
output "hubs" { value = sort(local.hubs) }
