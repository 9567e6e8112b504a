# Route 53 asks each host of a fleet for /SITE/ready, and answers a host name with the addresses of those that are ready, or with all when none is.
#
#   tofu init
#   tofu apply -var site=hello -var name=hello.example -var zone_id=Z123 -var 'hosts={web1="192.0.2.1", web2="192.0.2.2"}'
#
# A host that was drained gets no new visitors after interval * failures + TTL, here two and a half minutes: chillboxctl drain -w 150s.

terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.0"
    }
  }
}

variable "site" {
  type        = string
  description = "The site, as in SITE.site.json"
}

variable "name" {
  type        = string
  description = "A host name of the site"
}

variable "zone_id" {
  type        = string
  description = "The hosted zone of the name"
}

variable "hosts" {
  type        = map(string)
  description = "The hosts of the fleet, with their addresses for visitors"
}

resource "aws_route53_health_check" "ready" {
  for_each          = var.hosts
  type              = "HTTPS"
  ip_address        = each.value
  port              = 443
  fqdn              = var.name # for SNI and the Host header
  resource_path     = "/${var.site}/ready"
  request_interval  = 30
  failure_threshold = 3

  tags = {
    Name = "${var.site} on ${each.key}"
  }
}

resource "aws_route53_record" "host" {
  for_each                         = var.hosts
  zone_id                          = var.zone_id
  name                             = var.name
  type                             = strcontains(each.value, ":") ? "AAAA" : "A"
  ttl                              = 60
  records                          = [each.value]
  set_identifier                   = each.key
  health_check_id                  = aws_route53_health_check.ready[each.key].id
  multivalue_answer_routing_policy = true
}
