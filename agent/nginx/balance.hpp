// What a fleet's roster means for the NGINX of one host: a balancer passes the visitors of balanced
// sites on to the other hosts, and these believe its balancers, and nobody else, what they say of a
// visitor.
//
// No process asks the hosts how they are: each request finds out. What may be sent twice (GET,
// HEAD, OPTIONS, TRACE, PUT, DELETE) goes to the next host with `X-Chillbox-First: 1`. A host that
// is drained, locked or in maintenance for that site closes such a connection without an answer,
// which for NGINX is an error before anything was done: it takes another host, and leaves this one
// alone for ten seconds. Everything else is sent to the host that has just answered a question of
// NGINX's own, /.chillbox/here, which was asked in the same way; it is never sent twice. If no
// host wants the request, it is sent once more without that header, to any of them, and gets
// whatever that host says: the last host is never taken away.
#pragma once

#include "base/error.hpp"
#include "config/host.hpp"
#include "control/fleet.hpp"
#include "os/paths.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::nginx {

struct Fleet {
  std::vector<std::string> balancers;       // addresses that are believed, of other hosts
  std::string address;                      // of this balancer, "": it is none
  std::vector<std::string> hosts;           // addresses to which it passes requests on
  std::vector<control::BalancedSite> sites; // of all balancers
  std::vector<std::string> others;          // addresses of all other hosts; a name is none
  bool balances() const { return !address.empty(); }
  bool balanced(std::string_view site) const; // by whichever host
  bool takes_visitors_of(std::string_view site) const { return balances() && balanced(site); }
  bool operator==(const Fleet&) const = default;
};

// `here` is a host of the roster. invalid: a balanced site with an address that is none, is public
// (what is passed on is not encrypted) or of another kind than the others, or a name that is none.
Result<Fleet> fleet_of(const control::Roster& roster, const control::FleetHost& here);

// For the http block of every host: who is believed, and $chillbox_first.
std::string believed_balancers(const Fleet& fleet);
// For the http block: of a balancer its servers, of a host one for what is not deployed there.
std::string balancers_text(
    const Fleet& fleet, const config::HostConfig& host, const os::Paths& paths, bool ipv6);

} // namespace chillbox::nginx
