// The paths of a host (agent/FORMATS.md, "On disk"). CHILLBOX_ROOT moves every path under one
// directory, for tests only.
#pragma once

#include "base/names.hpp"

#include <string>

namespace chillbox::os {

struct Paths {
  std::string root; // "" on a host

  static Paths from_environment(); // reads CHILLBOX_ROOT
  bool testing() const { return !root.empty(); }

  std::string etc() const { return root + "/etc/chillbox"; }
  std::string config_file() const; // old_config_file() where there is only that
  std::string old_config_file() const { return etc() + "/chillbox.toml"; } // its name at first
  std::string system_roots() const { return root + "/etc/ssl/certs/ca-certificates.crt"; }
  std::string trusted() const { return etc() + "/trusted"; }
  std::string webhooks() const { return etc() + "/webhooks"; }
  std::string people() const { return etc() + "/people"; }
  std::string admin_hooks() const { return etc() + "/hooks.d"; }
  std::string shipped_hooks() const; // /usr/lib/chillbox/hooks; CHILLBOX_HOOKS in tests

  std::string state() const { return root + "/var/lib/chillbox"; }
  std::string database() const { return state() + "/state.db"; }
  std::string identity() const { return state() + "/identity.age"; }
  std::string recipient() const { return state() + "/recipient.txt"; }
  std::string artifacts() const { return state() + "/artifacts"; }
  std::string artifact(const Digest& d) const { return artifacts() + "/" + d.str() + ".age"; }
  std::string artifact_signature(const Digest& d) const {
    return artifacts() + "/" + d.str() + ".minisig";
  }
  std::string roster() const { return state() + "/fleet.json"; }
  std::string rollouts() const { return state() + "/rollouts"; }
  std::string secret_sets() const { return state() + "/secrets"; }
  std::string inbox() const { return state() + "/inbox"; }
  std::string wheelhouse() const { return state() + "/python"; }

  // What is asked of a CA: account/, and .well-known/acme-challenge/, which NGINX serves.
  std::string acme() const { return state() + "/acme"; }
  // Of the account by which people come in: sshd reads what is in it, and nobody but root writes.
  std::string ssh_home() const { return state() + "/ssh"; }
  std::string authorized_keys() const { return ssh_home() + "/.ssh/authorized_keys"; }
  std::string certs() const { return state() + "/certs"; }

  std::string run() const { return root + "/run/chillbox"; }
  std::string control_socket() const; // CHILLBOX_SOCKET, else run()/control.sock
  std::string people_socket() const { return run() + "/people.sock"; }
  std::string hook_socket() const { return run() + "/hook.sock"; }
  std::string empty() const { return run() + "/empty"; } // the edge's root directory
  std::string stage() const { return run() + "/stage"; }
  std::string secrets() const { return run() + "/secrets"; }
  std::string secrets_of(const SiteName& site) const { return secrets() + "/" + site.str(); }
  std::string tls() const { return run() + "/tls"; } // keys that may not reach a disk
  std::string live(const SiteName& site) const { return run() + "/live/" + site.str(); }
  std::string live_socket(const SiteName& site, const std::string& service) const {
    return live(site) + "/" + service + ".sock";
  }
  std::string slots() const { return run() + "/slots"; }
  std::string slots_of(const SiteName& site) const { return slots() + "/" + site.str(); }

  std::string sites() const { return root + "/srv/chillbox"; }
  std::string site(const SiteName& s) const { return sites() + "/" + s.str(); }
  std::string releases(const SiteName& s) const { return site(s) + "/releases"; }
  std::string current(const SiteName& s) const { return site(s) + "/current"; }
  std::string cache(const SiteName& s) const {
    return site(s) + "/cache";
  } // build layers that releases share
  std::string immutable(const SiteName& s) const {
    return site(s) + "/immutable";
  } // links NAME/HASH into the releases
  std::string data(const SiteName& s) const { return root + "/var/lib/" + s.str(); }
  std::string logs() const { return root + "/var/log/chillbox"; }
  std::string logs_of(const SiteName& s) const { return logs() + "/" + s.str(); }
  std::string init_d() const { return root + "/etc/init.d"; }
  std::string conf_d() const { return root + "/etc/conf.d"; }
};

} // namespace chillbox::os
