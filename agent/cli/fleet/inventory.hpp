// The machines that a command is for: -H and CHILLBOX_HOST name them for ssh, --hosts is an Ansible
// inventory, --limit selects from them.
#pragma once

#include "base/error.hpp"

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

struct Host {
  std::string name;             // its name in the output
  std::string target;           // USER@HOST, for ssh
  std::vector<std::string> ssh; // options for ssh: port, key, and those of ansible_ssh_common_args
  std::string url; // chillbox_url, for deploys: https://HOST when the inventory does not say
  std::string
      webhook_key; // chillbox_webhook_key, a file on this machine; "" when the inventory has none
};

struct Inventory {
  std::vector<Host> hosts; // in the order of the inventory
  std::map<std::string, std::vector<std::string>>
      groups; // the hosts of each, including those of its children
};

// From USER@HOST. usage: ssh would read it as an option, or a shell as more than one word.
Result<Host> host_from(const std::string& text);
// From the output of `ansible-inventory --list`; invalid: it is something else.
Result<Inventory> parse_inventory(std::string_view json);
// As Ansible's --limit, parts separated by commas: a host or group, with * ? [..]; "!" excludes,
// "&" keeps only those; no part: all. not_found: a part names nothing, or no host is left.
Result<std::vector<Host>> choose(const Inventory& inventory, const std::vector<std::string>& limit);
// The hosts of a file with such JSON, "-" for standard input, or of anything that
// `ansible-inventory -i` reads, which then applies the limit itself.
Result<std::vector<Host>> read_inventory(
    const std::string& path, const std::vector<std::string>& limit);

} // namespace chillbox::cli
