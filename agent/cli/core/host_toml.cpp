#include "cli/core/host_toml.hpp"

namespace chillbox::cli {

std::string_view default_host_toml() {
  return R"(# Configuration of chillboxd. Every key is optional; commented-out values are the defaults. `chillboxd --check` reports mistakes. Changes take
# effect at the next `chillboxctl upgrade`, which keeps the host unlocked. chillboxd.toml(5) says more.

[host]
# Host name of the server that answers /healthcheck/ and /v1/, which deployers use. "_" stands for the host's own name, and for any name that
# no site has unless NGINX has a default server elsewhere.
# server_name = "_"
# The lowest level that is logged: debug, info, warn or error.
# log_level = "info"
# The variable TECH_EMAIL of sites.
# tech_email = ""

[stage]
# Size of the memory in which artifacts are unpacked, and of the largest secret set of a site.
# size = "512M"
# secrets_size = "16M"
# If the kernel cannot keep this memory out of swap (before Linux 6.4) and swap is on, chillboxd starts only if this is true.
# allow_swap = false

[limits]
# Largest encrypted artifact; largest unpacked tree; most files and folders in it; most unpacked bytes for each compressed byte.
# artifact_max = "1G"
# unpacked_max = "2G"
# entries_max = 50000
# ratio_max = 200
# Total size of the uploads from which no release was made yet.
# uploads_max = "4G"
# Logs larger than this are rotated; this many rotated files are kept next to each.
# log_size = "10M"
# log_files = 3
# Most jobs of different sites that run in parallel; most unfinished jobs of one sender.
# jobs_max = 4
# queue_max = 1000
# How long a job waits for its upload; longest build of a service.
# upload_wait = "10m"
# build_timeout = "5m"
# Most processes and threads of a service, a build or a crontab run whose `resources` set no tasks_max.
# tasks_default = 512
# A job whose serial grows by more than this is held until `chillboxctl retry JOB --allow-jump`.
# serial_jump_max = 1000000
# Percentage of the disk that a deploy leaves free.
# reserve_percent = 5
# Greatest log2 of the scrypt work factor that an unlock accepts: 18 takes 256 MiB while it runs.
# scrypt_cap = 18

[data]
# What happens to a site's data before the release_command of a deploy: a snapshot is tried, required, or off; most that is copied for one.
# snapshots = "try"
# snapshot_max = "1G"

[nginx]
# Directory for one file per site; "" finds the one that NGINX includes (/etc/nginx/http.d on Alpine).
# dir = ""
# Group of NGINX's workers; "" means nginx, else www-data.
# group = ""
# http_port = 80
# https_port = 443
# Certificate of the host's own server, full chain and key; with "" it answers only on http_port.
# tls_certificate = ""
# tls_certificate_key = ""
# How access.log of each site is written, from its next deploy or restart on: "combined", or "json", an object a line.
# access_log = "combined"
# Proxies in front of this host, such as "10.0.0.0/8", whose X-Forwarded-For and X-Forwarded-Proto are believed.
# trusted_proxies = []
# Who may ask for /SITE/ready under the host's own name: load balancers, such as "10.0.0.0/8".
# checked_from = []
# What templates of sites may use in addition to site.json(5): directives, variables, servers ("HOST:PORT"), files or directories.
# allow_directives = []
# allow_variables = []
# allow_upstreams = []
# allow_paths = []

[tls]
# Who issues certificates: letsencrypt, letsencrypt-staging, the https:// URL of another ACME directory, or off. The host asks for each site whose
# names point to it, and so agrees to the terms of that CA.
# acme = "letsencrypt"
# The CA's profile; "" means tlsserver of Let's Encrypt, and none of other CAs.
# profile = ""
# E-mail addresses for the account; a CA may write to them.
# contact = []
# Certificate authorities (PEM) of the directory itself; "" means the system's.
# ca_file = ""
# External account binding, which some CAs ask for: the key's id, and the file that has its base64url.
# eab_kid = ""
# eab_key_file = ""
# The program that speaks to the CA: a folder in /usr/lib/chillbox/hooks/acme.
# engine = "acmez"
# HTTP/3 as well, on UDP port 443, if NGINX has it.
# http3 = false
# The proxies of nginx.trusted_proxies speak the PROXY protocol to both ports.
# proxy_protocol = false
# Addresses of other hosts with the same names, which are asked for the challenges that this one does not have.
# peers = []
# Which host orders the certificate of a site: each one its own, or, with a [fleet], one of them for all: "fleet".
# issuer = "host"

[backup]
# Where backups of the sites' data are stored: a hook of hooks/backup, whose target and credentials are in /etc/chillbox/backup/NAME. "" makes none.
# target = ""
# When: five fields of a crontab, "" for never. Which are kept: one of each of so many days, weeks and months that have one.
# schedule = "17 3 * * *"
# keep = "7d 4w 6m"
# How often the newest is fetched, unpacked and checked: daily, weekly, monthly or never.
# prove = "weekly"
# Recipients of age, each of whom can open the backups without this host. At least one, off this host.
# recipients = []
# Most data of one site in a backup.
# data_max = "2G"

[fetch]
# Where artifacts are that deployers announce and do not upload: addresses such as https://s3.example/BUCKET/PREFIX, with SHA256.age below. [] fetches nothing.
# from = []
# A file of root's alone with access_key=, secret_key= and region= for a private bucket; a PEM file with its CA.
# credentials = ""
# ca_file = ""
# A proxy, such as http://10.0.0.1:3128, which then looks up the names. Without one only addresses of the Internet are asked, unless private ones are allowed.
# proxy = ""
# private_addresses = false
# The time for one artifact, tries and all.
# timeout = "30m"

[notify]
# What happens within this time is one message to each target; `chillboxctl notify add` makes targets.
# gather = "30s"
# A URL that is fetched as long as the host is up, for a check elsewhere that reports its silence; each time wakes the host up.
# heartbeat = ""
# every = "10m"

[metrics]
# Who may read /metrics of this host's own name without a token: addresses and networks. 127.0.0.1 is every program on this host, those of sites too.
# allow = []
# With more series than this, those of sites are left out.
# series_max = 20000

[defaults]
# For sites that do not say otherwise: how long a new release is watched, and how many releases are kept.
# watch = "10s"
# keep_releases = 3

[variables]
# Values of S3_ENDPOINT_URL, ARTIFACT_BUCKET_NAME, IMMUTABLE_BUCKET_NAME, IMMUTABLE_BUCKET_DOMAIN_NAME and CHILLBOX_SUBNET for sites.
# s3_endpoint_url = ""
# artifact_bucket = ""
# immutable_bucket = ""
# immutable_bucket_domain = ""
# subnet = ""
)";
}

} // namespace chillbox::cli
