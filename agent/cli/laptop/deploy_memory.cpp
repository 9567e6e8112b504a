#include "cli/laptop/deploy_memory.hpp"

#include "base/json.hpp"
#include "base/names.hpp"
#include "base/text.hpp"
#include "control/json.hpp"
#include "crypto/hash.hpp"

#include <nlohmann/json.hpp>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_memory = 64 * 1024;

std::string memory_file(const Places& places, const std::string& host, const std::string& site) {
  return cat(places.state, "/deployed/", memory_name(host, site), ".json");
}

} // namespace

std::string memory_name(const std::string& host, const std::string& site) {
  const bool plain = parse_key_name(host).has_value();
  return cat(
      plain ? host : cat("ssh-", crypto::sha256_of(bytes_of(host)).str().substr(0, 16)), ".", site);
}

DeployMemory recall(const Places& places, const std::string& host, const std::string& site) {
  DeployMemory memory;
  const auto text = read_own_file(memory_file(places, host, site), k_max_memory);
  const auto json = text ? parse_json(*text, k_max_memory) : Result<Json>(fail(Code::invalid, ""));
  if (!json || !json->is_object())
    return memory;
  const auto read = [](const Json& from, const char* key) {
    return control::string_or(from, key, "");
  };
  memory = {read(*json, "sha256"), read(*json, "tree"), read(*json, "version"), read(*json, "root"),
      read(*json, "origin"), {}};
  if (const auto pending = json->find("pending"); pending != json->end() && pending->is_object())
    memory.pending = {read(*pending, "tree"), read(*pending, "version"),
        read(*pending, "recipient"), read(*pending, "path"), read(*pending, "sha256"),
        read(*pending, "blake2b"), control::u64_or(*pending, "size", 0),
        control::u64_or(*pending, "files", 0)};
  return memory;
}

Result<void> remember(const Places& places, const std::string& host, const std::string& site,
    const DeployMemory& memory) {
  Json json{{"sha256", memory.sha256}, {"tree", memory.tree}, {"version", memory.version},
      {"root", memory.root}, {"origin", memory.origin}};
  if (const auto& p = memory.pending; !p.path.empty())
    json["pending"] = {{"tree", p.tree}, {"version", p.version}, {"recipient", p.recipient},
        {"path", p.path}, {"sha256", p.sha256}, {"blake2b", p.blake2b}, {"size", p.size},
        {"files", p.files}};
  return write_own_file(memory_file(places, host, site), dump(json) + "\n", k_max_memory);
}

} // namespace chillbox::cli
