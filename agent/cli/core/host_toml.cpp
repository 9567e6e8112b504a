#include "cli/core/host_toml.hpp"

namespace chillbox::cli {

std::string_view default_host_toml() {
  return R"(# Configuration of chillboxd. Every key is optional; what stands here behind '#' is its default. `chillboxd --check` tells what is
# wrong; changes here hold from the next `chillboxctl upgrade`, which keeps the host unsealed. chillbox.toml(5) says more.

[host]
# Host name of the server that answers /healthcheck/ and /v1/; "_": the host's own, and any that no site has
# unless NGINX has a default server elsewhere. Write the name here that deployers send to.
# server_name = "_"
# How much goes into the log: debug, info, warn, error.
# log_level = "info"
# TECH_EMAIL for sites.
# tech_email = ""

[stage]
# Size of the memory in which artifacts are unpacked, and of the largest secret set of a site.
# size = "512M"
# secrets_size = "16M"
# Where the kernel cannot keep this memory out of swap (before Linux 6.4) and swap is on: refuse, unless this is true.
# allow_swap = false

[limits]
# Largest artifact, encrypted; largest tree, unpacked; files and folders in it; unpacked bytes for each compressed one.
# artifact_max = "1G"
# unpacked_max = "2G"
# entries_max = 50000
# ratio_max = 200
# All uploads together that no release was made of yet.
# uploads_max = "4G"
# A log file over this size is rotated; so many rotated ones are kept beside it.
# log_size = "10M"
# log_files = 3
# Jobs of different sites that run side by side; jobs that may wait.
# jobs_max = 4
# queue_max = 1000
# How long a job waits for its upload; how long the build of a service may take.
# upload_wait = "10m"
# build_timeout = "5m"
# Processes and threads of a service, a build or a crontab's run whose `resources` set no tasks_max.
# tasks_default = 512
# A serial that grows by more than this at once is held until `chillboxctl retry JOB --allow-jump`.
# serial_jump_max = 1000000
# Percent of the disk that a deploy leaves free.
# reserve_percent = 5
# Greatest log2 of the scrypt work factor that an unlock accepts: 18 takes 256 MiB while it runs.
# scrypt_cap = 18

[nginx]
# Directory for one file a site; "" finds the one that NGINX includes (/etc/nginx/http.d on Alpine).
# dir = ""
# Group of NGINX's workers; "" is nginx, else www-data.
# group = ""
# http_port = 80
# https_port = 443
# Certificate of the host's own server, full chain and key; "" answers on http_port only.
# tls_certificate = ""
# tls_certificate_key = ""
# What templates of sites may use beside what site.json(5) says: directives, variables, servers ("HOST:PORT"), files or directories.
# allow_directives = []
# allow_variables = []
# allow_upstreams = []
# allow_paths = []

[defaults]
# For sites that say nothing: how long a new release is watched, and how many releases stay.
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
