# Cloudflare's load balancer asks each host of a fleet for /SITE/ready, and sends the visitors of a host name to those that are ready. The account
# needs Load Balancing; the token needs the rights to edit load balancers, monitors and pools.
#
#   tofu init
#   CLOUDFLARE_API_TOKEN=... tofu apply -var account_id=... -var zone_id=... -var site=hello -var name=hello.example \
#     -var 'hosts={web1="192.0.2.1", web2="192.0.2.2"}'
#
# A host that was drained gets no new visitors after interval * consecutive_down, here two minutes: chillboxctl drain -w 2m.

terraform {
  required_providers {
    cloudflare = {
      source  = "cloudflare/cloudflare"
      version = ">= 5.0"
    }
  }
}

variable "account_id" {
  type = string
}

variable "zone_id" {
  type        = string
  description = "The zone of the name"
}

variable "site" {
  type        = string
  description = "The site, as in SITE.site.json"
}

variable "name" {
  type        = string
  description = "A host name of the site"
}

variable "hosts" {
  type        = map(string)
  description = "The hosts of the fleet, with their addresses for visitors"
}

resource "cloudflare_load_balancer_monitor" "ready" {
  account_id       = var.account_id
  type             = "https"
  method           = "GET"
  path             = "/${var.site}/ready"
  expected_codes   = "200"
  header           = { Host = [var.name] }
  follow_redirects = false
  interval         = 60
  timeout          = 5
  consecutive_down = 2
  consecutive_up   = 1
}

resource "cloudflare_load_balancer_pool" "hosts" {
  account_id = var.account_id
  name       = "${var.site}-hosts"
  monitor    = cloudflare_load_balancer_monitor.ready.id
  origins = [for host, address in var.hosts : {
    name    = host
    address = address
    enabled = true
    header  = { host = [var.name] }
  }]
}

resource "cloudflare_load_balancer" "name" {
  zone_id       = var.zone_id
  name          = var.name
  default_pools = [cloudflare_load_balancer_pool.hosts.id]
  fallback_pool = cloudflare_load_balancer_pool.hosts.id # all hosts, when none is ready
  proxied       = true
}
