// The tables of control::Facts, what a laptop needs to know of a host, for messages.cpp.
#pragma once

#include "control/members.hpp"
#include "control/messages.hpp"

namespace chillbox::control {

constexpr auto table(const Deployer*) {
  return message("deployer", "A key whose signatures the host takes.",
      Member{"name", &Deployer::name, ""},
      Member{"id", &Deployer::id, "as minisign or ssh-keygen -l prints it"},
      Member{"sites", &Deployer::sites, "none: all"});
}

constexpr auto table(const SiteFacts*) {
  using S = SiteFacts;
  return message("site_facts", "A site, as the next deploy finds it.", Member{"site", &S::site, ""},
      Member{"version", &S::version, "live, \"\": nothing is"},
      Member{"release", &S::release, "its id"}, Member{"sha256", &S::sha256, "of its artifact"},
      Member{"signer", &S::signer, "name of the key that signed it"},
      Member{"actor", &S::actor, "who brought it, \"\": not known any more"},
      Member{"live_ms", &S::live_ms, "when it went live"},
      Member{"names", &S::names, "its host names, the main one first"},
      Member{"url", &S::url, "of the main one"},
      Member{"serial", &S::serial, "the greatest that was installed of its releases, 0: none"},
      Member{"secrets_serial", &S::secrets_serial, "and of its secret sets"},
      Member{"hold", &S::hold, "while it is held"},
      Member{"order_serial", &S::order_serial,
          "of the newest order of a rollout, 0: none; missing: it cannot be read"});
}

constexpr auto table(const Facts*) {
  return message("facts", "What a laptop needs to know before it packs.",
      Member{"version", &Facts::version, "of chillboxd"},
      Member{"recipient", &Facts::recipient, "artifacts are encrypted to it"},
      Member{"server_name", &Facts::server_name, "the host's own name"},
      Member{"actor", &Facts::actor, "as whom it answers"},
      Member{"role", &Facts::role, "what that one may"},
      Member{"may", &Facts::may, "only of these sites; none: of all"},
      Member{"sealed", &Facts::sealed, ""},
      Member{"started_ms", &Facts::started_ms, "when chillboxd started"},
      Member{"artifact_max", &Facts::artifact_max, "bytes"},
      Member{"http_port", &Facts::http_port, "where visitors come in"},
      Member{"deployers", &Facts::deployers, "the trusted keys"},
      Member{"sites", &Facts::sites, "those of this host"},
      Member{"site", &Facts::site, "the one that was asked about"},
      Member{"upload", &Facts::upload, "of the artifact that was asked about"},
      Member{"fleet", &Facts::fleet, "of which the host is one"},
      Member{"report_key", &Facts::report_key, "the host signs with it what it reports"},
      Member{"engine", &Facts::engine, "the host reaches the fleet's engine"},
      Member{"os", &Facts::os, ""}, Member{"arch", &Facts::arch, "as `uname -m` has it"},
      Member{"libc", &Facts::libc, "\"glibc 2.36\", \"musl 1.2\""},
      Member{"python", &Facts::python, "\"\": it has none"});
}

} // namespace chillbox::control
