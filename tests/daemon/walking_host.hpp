// web1, a whole host that walks rollouts, with an engine in memory; web2 and web3 are keys of this
// test.
#pragma once

#include "backup/archive.hpp"
#include "control/rollout.hpp"
#include "crypto/hash.hpp"
#include "daemon/memory_engine.hpp"
#include "daemon/rollouts.hpp"
#include "rollout/engine_host.hpp"
#include "rollout/roster.hpp"

#include <filesystem>
#include <fstream>
#include <sstream>

namespace chillbox::test {

using control::HostTurn;

inline std::string minisigned(
    const crypto::MinisignSecretKey& key, std::string_view text, std::string_view comment) {
  crypto::Blake2b512 blake2b;
  blake2b.update(bytes_of(text));
  return key.sign(blake2b.finish(), comment);
}

// Of fleet shop, signed by the host's laptop.
inline void give_roster(EngineHost& host, const control::Roster& roster) {
  const std::string text = control::roster_text(roster);
  must(rollout::take_roster(host.context(),
      control::signed_roster_text({text,
          minisigned(host.laptop.key(), text,
              artifact::statement_text({.site = site("shop"),
                  .fleet = true,
                  .version = "",
                  .serial = roster.epoch,
                  .sha256 = crypto::sha256_of(bytes_of(text))}))})));
}

inline void goes_back(control::RolloutOrder& order) {
  order.on_failure = "rollback";
}
inline void comes_second(control::RolloutOrder& order) {
  order.batches = {{{"web2"}}, {{"web1", "web3"}}};
}

struct WalkingHost : EngineHost {
  WalkingHost() {
    std::filesystem::create_directories(paths.rollouts());
    unlock();
    REQUIRE(deploy("1.0.0").state == store::JobState::done);
    const auto key = must(backup::signing_key(disk, paths));
    roster.fleet = "shop";
    roster.hosts = {{"web1", "10.0.0.1", identity.recipient(), {}, key.public_key().to_line()},
        {"web2", "10.0.0.2", "age1two", {}, web2.public_key().to_line()},
        {"web3", "10.0.0.3", "age1three", {}, web3.public_key().to_line()}};
    take_roster();
    changed = [this](const std::string&) { all->look(); };
    begin_walks();
  }
  ~WalkingHost() { end_walks(); }

  void begin_walks() {
    all = std::make_unique<daemon::Rollouts>(context(), *engine, [] {});
    all->begin(&fleet);
  }
  void end_walks() {
    fleet.forget();
    all->ask_to_stop();
    engine->stop();
    all->stop();
  }
  void restart_all() {
    end_walks();
    changed = [](const std::string&) {};
    all.reset();
    restart_daemon();
    changed = [this](const std::string&) { all->look(); };
    begin_walks();
  }
  void take_roster() {
    ++roster.epoch;
    give_roster(*this, roster);
  }

  std::string slurp(const std::string& path) {
    std::ifstream file(path);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  // The artifact is there, as after `prepare`.
  control::RolloutOrder order(uint64_t serial, const Order& what) {
    const Sent sent = laptop.pack(what);
    upload(sent);
    control::RolloutOrder order;
    order.fleet = "shop";
    order.site = what.slug;
    order.version = what.version;
    order.sha256 = sent.sha256;
    order.signature = slurp(sent.signature);
    order.size = sent.size;
    order.serial = serial;
    order.batches = {{{"web1"}}, {{"web2", "web3"}}};
    order.deadline_ms = clock.wall_ms() + 3'600'000;
    return order;
  }
  control::RolloutOrder order(uint64_t serial, const std::string& version) {
    return order(serial, Order{.version = version});
  }
  std::string signed_text(const control::RolloutOrder& order) {
    return signed_text(order, laptop.key());
  }
  static std::string signed_text(
      const control::RolloutOrder& order, const crypto::MinisignSecretKey& key) {
    const std::string text = control::order_text(order);
    return control::signed_order_text({text,
        minisigned(key, text,
            artifact::statement_text({.site = site(order.site),
                .rollout = true,
                .version = "",
                .serial = order.serial,
                .sha256 = crypto::sha256_of(bytes_of(text))}))});
  }
  void give(const control::RolloutOrder& order) {
    must(all->take(site(order.site), signed_text(order)));
  }
  // What it was ordered: version 2.0.0, and what `change` makes of it. It got as far as that.
  control::RolloutOrder walks_to(
      HostTurn turn, const std::function<void(control::RolloutOrder&)>& change = {}) {
    auto given = order(1, "2.0.0");
    if (change)
      change(given);
    give(given);
    REQUIRE(becomes(given, turn));
    return given;
  }
  // As the owner of the engine, who asks no host.
  void force(uint64_t serial, const std::string& text) {
    fleet.put("orders/blog", cat(control::serial_text(serial), "\n", text));
  }

  static std::string report_text(const control::RolloutOrder& order, const std::string& host,
      HostTurn state, uint64_t seq, const crypto::MinisignSecretKey& key,
      std::string_view comment = control::k_report_comment) {
    const std::string digest = crypto::sha256_of(bytes_of(control::order_text(order))).str();
    const std::string text = cat(R"({"host":")", host, R"(","site":")", order.site,
        R"(","serial":)", order.serial, R"(,"order":")", digest, R"(","state":")",
        control::name(state), R"(","seq":)", seq, R"(,"message":"as it was told"})");
    std::string signature;
    for (const char c : minisigned(key, text, comment))
      signature += c == '\n' ? std::string("\\n") : std::string(1, c);
    std::string quoted;
    for (const char c : text)
      quoted += c == '"' ? std::string("\\\"") : std::string(1, c);
    return cat(R"({"report":")", quoted, R"(","signature":")", signature, R"("})");
  }
  void say(const control::RolloutOrder& order, const std::string& host, HostTurn state) {
    fleet.put(daemon::reports_key(order) + host,
        report_text(order, host, state, ++m_seq, host == "web2" ? web2 : web3));
  }

  // What web1 says of it, by way of the engine.
  control::HostReport mine(const control::RolloutOrder& order) {
    const auto both = control::parse_signed_report(fleet.text(daemon::reports_key(order) + "web1"));
    return both ? control::parse_report(both->report).value_or(control::HostReport{})
                : control::HostReport{};
  }
  bool becomes(const control::RolloutOrder& order, HostTurn state) {
    const bool yes = eventually([&] { return mine(order).state == state; });
    if (!yes) {
      WARN(cat(control::name(mine(order).state), ": ", mine(order).message));
      for (const auto& entry : must(store().audit_entries(5)))
        WARN(cat(entry.actor, ": ", entry.text));
    }
    return yes;
  }
  // Its walk has nothing left to do.
  bool ends(uint64_t serial) {
    return eventually([&] {
      const auto file = rollout::read_order_file(context(), site());
      return file && *file && (*file)->taken.order.serial == serial && (*file)->walked.ended;
    });
  }
  // A refusal was recorded, and nothing was made of it.
  bool recorded(std::string_view part) {
    return eventually([&] {
      for (const auto& entry : must(store().audit_entries(100)))
        if (entry.actor == "fleet engine" && entry.text.find(part) != std::string::npos)
          return true;
      return false;
    });
  }
  std::string version() { return live().version; }
  std::vector<control::OrderedRollout> rows() {
    return must(all->all([](const SiteName&) { return true; }));
  }

  crypto::MinisignSecretKey web2 = crypto::MinisignSecretKey::generate();
  crypto::MinisignSecretKey web3 = crypto::MinisignSecretKey::generate();
  control::Roster roster;
  MemoryEngine fleet;
  std::unique_ptr<daemon::Rollouts> all;

private:
  uint64_t m_seq = 0;
};

} // namespace chillbox::test
