# CloudTrail for Skytrail: a multi-region trail with log file validation, its encrypted bucket, a queue that announces
# each file, and a role that can read both and nothing else. Apply in the account that owns the trail.

terraform {
  required_version = ">= 1.5"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 5.40" }
  }
}

provider "aws" {
  region = "@{region}"
}

variable "name" {
  type    = string
  default = "@{name}"
}

variable "organisation_id" {
  description = "Empty for a trail of this account alone; o-… for a trail of the whole organisation."
  type        = string
  default     = "@{organisation}"
}

variable "management_account_id" {
  description = "The account that owns the trail of an organisation, where its delegated administrator applies this; else empty."
  type        = string
  default     = "@{management_account}"
}

variable "reader_arn" {
  description = "The principal as which the collector runs; it may assume the reader role, with the external id."
  type        = string
  default     = "@{reader}"
}

variable "external_id" {
  type    = string
  default = "@{external_id}"
}

variable "data_events" {
  description = "Also log reads and writes of S3 objects and calls of Lambda functions (charged per event)."
  type        = bool
  default     = @{data_events_bool}
}

variable "bucket_retention_days" {
  description = "Days that the bucket keeps files. Skytrail's archive is the record; the bucket is for fetching again."
  type        = number
  default     = 90
}

data "aws_caller_identity" "this" {}
data "aws_partition" "this" {}

locals {
  account   = data.aws_caller_identity.this.account_id
  partition = data.aws_partition.this.partition
  bucket    = "${var.name}-${local.account}-@{region}"
  owner     = var.management_account_id == "" ? local.account : var.management_account_id
  trail_arn = "arn:${local.partition}:cloudtrail:@{region}:${local.owner}:trail/${var.name}"
  prefixes  = var.organisation_id == "" ? [local.owner] : [local.owner, var.organisation_id]
}

data "aws_iam_policy_document" "key" {
  statement {
    sid       = "Administration"
    actions   = ["kms:*"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }
  statement {
    sid       = "CloudTrailEncrypts"
    actions   = ["kms:GenerateDataKey*"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail_arn]
    }
    condition {
      test     = "StringLike"
      variable = "kms:EncryptionContext:aws:cloudtrail:arn"
      values   = ["arn:${local.partition}:cloudtrail:*:${local.owner}:trail/*"]
    }
  }
  statement {
    sid       = "CloudTrailDescribes"
    actions   = ["kms:DescribeKey"]
    resources = ["*"]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
  }
  statement {
    sid       = "ReaderDecrypts"
    actions   = ["kms:Decrypt"]
    resources = ["*"]
    principals {
      type        = "AWS"
      identifiers = [aws_iam_role.reader.arn]
    }
  }
}

resource "aws_kms_key" "trail" {
  description         = "CloudTrail files of ${var.name}"
  enable_key_rotation = true
  policy              = data.aws_iam_policy_document.key.json
}

resource "aws_s3_bucket" "trail" {
  bucket = local.bucket
}

resource "aws_s3_bucket_versioning" "trail" {
  bucket = aws_s3_bucket.trail.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_public_access_block" "trail" {
  bucket                  = aws_s3_bucket.trail.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_lifecycle_configuration" "trail" {
  bucket = aws_s3_bucket.trail.id
  rule {
    id     = "expire"
    status = "Enabled"
    filter {}
    expiration {
      days = var.bucket_retention_days
    }
    noncurrent_version_expiration {
      noncurrent_days = var.bucket_retention_days
    }
  }
}

data "aws_iam_policy_document" "bucket" {
  statement {
    sid       = "OnlyTLS"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.trail.arn, "${aws_s3_bucket.trail.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
  statement {
    sid       = "CloudTrailLooks"
    actions   = ["s3:GetBucketAcl"]
    resources = [aws_s3_bucket.trail.arn]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail_arn]
    }
  }
  statement {
    sid       = "CloudTrailWrites"
    actions   = ["s3:PutObject"]
    resources = [for prefix in local.prefixes : "${aws_s3_bucket.trail.arn}/AWSLogs/${prefix}/*"]
    principals {
      type        = "Service"
      identifiers = ["cloudtrail.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "s3:x-amz-acl"
      values   = ["bucket-owner-full-control"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceArn"
      values   = [local.trail_arn]
    }
  }
}

resource "aws_s3_bucket_policy" "trail" {
  bucket = aws_s3_bucket.trail.id
  policy = data.aws_iam_policy_document.bucket.json
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "files" {
  name                       = "${var.name}-files"
  visibility_timeout_seconds = 300 # the collector extends it while a file is in work
  message_retention_seconds  = 1209600
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 10
  })
}

data "aws_iam_policy_document" "queue" {
  statement {
    sid       = "BucketAnnounces"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.files.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_s3_bucket.trail.arn]
    }
  }
}

resource "aws_sqs_queue_policy" "files" {
  queue_url = aws_sqs_queue.files.id
  policy    = data.aws_iam_policy_document.queue.json
}

resource "aws_s3_bucket_notification" "trail" {
  bucket = aws_s3_bucket.trail.id
  queue {
    queue_arn     = aws_sqs_queue.files.arn
    events        = ["s3:ObjectCreated:*"]
    filter_prefix = "AWSLogs/"
    filter_suffix = ".json.gz"
  }
  depends_on = [aws_sqs_queue_policy.files] # S3 asks the queue when the notification is set up
}

resource "aws_cloudtrail" "this" {
  name                          = var.name
  s3_bucket_name                = aws_s3_bucket.trail.id
  kms_key_id                    = aws_kms_key.trail.arn
  enable_logging                = true
  is_multi_region_trail         = true
  include_global_service_events = true
  enable_log_file_validation    = true
  is_organization_trail         = var.organisation_id != ""

  advanced_event_selector {
    name = "management events"
    field_selector {
      field  = "eventCategory"
      equals = ["Management"]
    }
  }

  dynamic "advanced_event_selector" {
    for_each = var.data_events ? { "AWS::S3::Object" = ["${aws_s3_bucket.trail.arn}/"], "AWS::Lambda::Function" = [] } : {}
    content {
      name = "data events of ${advanced_event_selector.key}"
      field_selector {
        field  = "eventCategory"
        equals = ["Data"]
      }
      field_selector {
        field  = "resources.type"
        equals = [advanced_event_selector.key]
      }
      dynamic "field_selector" {
        for_each = length(advanced_event_selector.value) > 0 ? [advanced_event_selector.value] : []
        content {
          field           = "resources.ARN"
          not_starts_with = field_selector.value # the trail's own files
        }
      }
    }
  }

  depends_on = [aws_s3_bucket_policy.trail]
}

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "AWS"
      identifiers = [var.reader_arn]
    }
    condition {
      test     = "StringEquals"
      variable = "sts:ExternalId"
      values   = [var.external_id]
    }
  }
}

resource "aws_iam_role" "reader" {
  name               = "${var.name}-reader"
  assume_role_policy = data.aws_iam_policy_document.trust.json
}

data "aws_iam_policy_document" "reader" {
  statement {
    sid       = "Queue"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"]
    resources = [aws_sqs_queue.files.arn]
  }
  statement {
    sid       = "Files"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${aws_s3_bucket.trail.arn}/AWSLogs/*"]
  }
  statement {
    sid       = "ListForFetchingAgain"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.trail.arn]
  }
  statement {
    sid       = "CheckAnnouncement"
    actions   = ["s3:GetBucketNotification"]
    resources = [aws_s3_bucket.trail.arn]
  }
  statement {
    sid       = "Check"
    actions   = ["cloudtrail:DescribeTrails", "cloudtrail:ListPublicKeys"]
    resources = ["*"] # these calls know no narrower resource
  }
  statement {
    sid       = "CheckTrail"
    actions   = ["cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"]
    resources = [aws_cloudtrail.this.arn]
  }
}

resource "aws_iam_role_policy" "reader" {
  name   = "read-the-trail"
  role   = aws_iam_role.reader.id
  policy = data.aws_iam_policy_document.reader.json
}

output "queue_url" { value = aws_sqs_queue.files.id }
output "bucket_name" { value = aws_s3_bucket.trail.id }
output "trail_arn" { value = aws_cloudtrail.this.arn }
output "role_arn" { value = aws_iam_role.reader.arn }
