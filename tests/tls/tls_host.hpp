// A host with certificates, its NGINX and its CA played: an engine that answers by the contract
// (chillbox-hooks(7)), with a CA in memory, a world of names and addresses, and a clock that the
// test moves.
#pragma once

#include "base/encoding.hpp"
#include "catch.hpp"
#include "crypto/age.hpp"
#include "rollout/fakes.hpp"
#include "tls/authority.hpp"
#include "tls/certificates.hpp"
#include "tls/json.hpp"

#include <nlohmann/json.hpp>

#include <deque>
#include <filesystem>
#include <fstream>
#include <map>

namespace chillbox::test {

inline constexpr int64_t k_minute = 60'000, k_hour = 60 * k_minute, k_day = 24 * k_hour;
inline constexpr int64_t k_begin = 1'800'000'000'000;

struct TempDir {
  TempDir() {
    std::string pattern = (std::filesystem::is_directory("/dev/shm")
                                  ? "/dev/shm"
                                  : std::filesystem::temp_directory_path().string()) +
        "/cb-tls-XXXXXX";
    path = ::mkdtemp(pattern.data());
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() {
    std::error_code ignored;
    std::filesystem::remove_all(path, ignored);
  }
  std::string path;
};

template <class T> T must(Result<T> result) {
  if (!result)
    FAIL(result.error().message);
  if constexpr (!std::is_void_v<T>)
    return std::move(*result);
}

inline SiteName site(const std::string& name = "blog") {
  return SiteName::parse(name).value();
}

class StillClock : public os::Clock {
public:
  int64_t wall() const override { return wall_ms() / 1000; }
  int64_t wall_ms() const override { return k_begin + m_ms + m_set; }
  os::Millis mono() const override { return os::Millis{m_ms + 5'000}; }
  void sleep(os::Millis time) override { m_ms += time.count(); }
  void pass(int64_t ms) { m_ms += ms; }
  void set(int64_t by_ms) { m_set += by_ms; } // by hand, or by the network

private:
  int64_t m_ms = 0, m_set = 0;
};

// Where a name leads, and what answers there.
struct World {
  std::map<std::string, std::vector<std::string>> a, aaaa; // absent: NXDOMAIN
  // By address: "us", "away", or what another host says
  std::map<std::string, std::string> hosts{{"192.0.2.1", "us"}};
  std::string loopback = "us"; // or what a template answers
};

// The daemon is killed before the n-th thing that it does to the world, in a process of its own.
struct Kill {
  int in = 0; // 0: never
  void look() {
    if (in > 0 && --in == 0)
      ::_exit(9);
  }
};

class KillDisk : public TestDisk {
public:
  KillDisk(const std::string& root, Kill& kill) : TestDisk(root), m_kill(kill) {}
  Result<void> make_dir(const std::string& path, mode_t mode, os::Owner owner) override {
    m_kill.look();
    return TestDisk::make_dir(path, mode, owner);
  }
  Result<void> write(
      const std::string& path, std::string_view bytes, mode_t mode, os::Owner owner) override {
    m_kill.look();
    return TestDisk::write(path, bytes, mode, owner);
  }
  Result<void> rename(const std::string& from, const std::string& to) override {
    m_kill.look();
    return TestDisk::rename(from, to);
  }
  Result<void> remove(const std::string& path) override {
    m_kill.look();
    return TestDisk::remove(path);
  }

private:
  Kill& m_kill;
};

class FakeEngine : public os::Runner {
public:
  FakeEngine(os::Disk& disk, os::Clock& clock, const os::Paths& paths, Kill& kill)
      : m_disk(disk), m_clock(clock), m_paths(paths), m_kill(kill) {}

  Result<os::Exit> run(const os::Command& command) override {
    m_kill.look();
    if (command.argv.size() < 2)
      return fail(Code::not_found, "no such program");
    const std::string& verb = command.argv[1];
    const Json in = parse_json(command.input, 1 << 20).value();
    if (raw && (raw_verb.empty() || raw_verb == verb)) {
      ++raw_runs;
      return *raw;
    }
    return os::Exit{.code = 0, .signal = 0, .out = dump(answer(verb, in)), .err = ""};
  }

  World world;
  Authority ca;
  std::vector<Json> orders;  // what the CA was asked for
  std::deque<Json> problems; // the next orders end so
  std::function<std::string(const Json& in, const std::string& chain)> tamper; // of what is issued
  std::function<Json(const Json& in)> refuse;                                  // null: it does not
  std::function<void()> before_answer;                                         // of an order
  std::string served_sha256; // "" : of the file that NGINX was last told of
  std::function<std::string(const std::string& name)> serves;
  int64_t life_ms = 45 * k_day;
  Json ari;                       // null: none
  std::vector<std::string> verbs; // all that was asked, and of whom
  Result<os::Exit>* raw = nullptr;
  std::string raw_verb;
  int raw_runs = 0;
  std::vector<std::string> accounts;
  std::vector<std::string> revoked;

  int count(const std::string& verb) const {
    return static_cast<int>(std::ranges::count(verbs, verb));
  }

private:
  static Json bad(const std::string& type, const std::string& detail) {
    return {{"ok", false}, {"problem", {{"type", type}, {"detail", detail}}}};
  }

  Json answer(const std::string& verb, const Json& in) {
    verbs.push_back(verb == "probe" ? "probe " + in.at("kind").get<std::string>() : verb);
    if (verb == "probe")
      return probe(in);
    if (verb == "order")
      return order(in);
    if (verb == "renewal-info")
      return {{"ok", true}, {"ari", ari}};
    if (verb == "revoke") {
      revoked.push_back(in.at("certificate"));
      return {{"ok", true}};
    }
    accounts.push_back(in.at("action"));
    return {{"ok", true}, {"url", "https://ca.test/account/1"}, {"thumbprint", "t"},
        {"status", "valid"}, {"created", true}};
  }

  Json order(const Json& in) {
    orders.push_back(in);
    std::ofstream(m_paths.root + "/orders", std::ios::app) << "order\n";
    if (before_answer)
      before_answer();
    if (refuse)
      if (Json no = refuse(in); !no.is_null())
        return no;
    if (!problems.empty()) {
      const Json next = problems.front();
      problems.pop_front();
      return next;
    }
    std::string chain = ca.issue(in.at("csr"),
        {.names = in.at("names"),
            .from_ms = m_clock.wall_ms() - 1'000,
            .until_ms = m_clock.wall_ms() + life_ms});
    if (tamper)
      chain = tamper(in, chain);
    return {{"ok", true}, {"chain", chain}, {"order_url", "https://ca.test/order/1"},
        {"profile", in.at("profile")}, {"replaced", !in.at("replaces").is_null()}, {"ari", ari},
        {"warnings", Json::array()}};
  }

  Json probe(const Json& in) {
    const std::string kind = in.at("kind"), name = in.at("name");
    if (kind == "tls") {
      const std::string sha = served_sha256.empty() && serves ? serves(name) : served_sha256;
      if (sha.empty())
        return bad("network", "connection refused");
      return {{"ok", true}, {"sha256", sha}, {"not_after", "2030-01-01T00:00:00Z"},
          {"names", Json::array({name})}};
    }
    if (kind == "addresses") {
      if (!world.a.contains(name) && !world.aaaa.contains(name))
        return bad("dns", "NXDOMAIN");
      return {{"ok", true}, {"a", world.a[name]}, {"aaaa", world.aaaa[name]}};
    }
    const std::string address = in.at("address");
    const std::string who = address == "127.0.0.1" ? world.loopback
        : world.hosts.contains(address)            ? world.hosts[address]
                                                   : "away";
    if (who == "away")
      return bad("network", "connect: timed out");
    if (who == "us") {
      const auto token = m_disk.read(m_paths.acme() + in.at("path").get<std::string>(), 4096);
      return {{"ok", true}, {"status", token ? 200 : 404}, {"body", token ? *token : "no"},
          {"location", nullptr}, {"date", nullptr}};
    }
    const bool away = who.starts_with("to ");
    return {{"ok", true},
        {"status",
            away               ? 301
                : who == "404" ? 404
                               : 200},
        {"body", who}, {"location", away ? Json(who.substr(3)) : Json()}, {"date", nullptr}};
  }

  os::Disk& m_disk;
  os::Clock& m_clock;
  os::Paths m_paths;
  Kill& m_kill;
};

inline Json problem(
    const std::string& type, const std::string& detail = "no", const std::string& identifier = "") {
  return {{"ok", false},
      {"problem",
          {{"type", "urn:ietf:params:acme:error:" + type}, {"status", 400}, {"detail", detail},
              {"identifier", identifier}}}};
}

class TlsHost {
public:
  explicit TlsHost(const std::string& root = "") : top(root.empty() ? tmp.path : root) {
    paths.root = top;
    for (const auto& dir : {paths.state(), paths.run(), paths.certs(), paths.tls(),
             tls::challenge_dir(paths), top + "/hooks/acme/fake"})
      std::filesystem::create_directories(dir);
    must(os::real_disk().write(top + "/hooks/acme/fake/engine", "#!/bin/sh\n", 0755));
    ::setenv("CHILLBOX_HOOKS", (top + "/hooks").c_str(), 1);
    config.tls.acme = "https://ca.test/dir";
    config.tls.engine = "fake";
    identity = crypto::AgeIdentity::generate();
    must(os::real_disk().write(paths.recipient(), identity->recipient(), 0644));
    for (const auto& name : must(os::real_disk().list(paths.certs())))
      if (name.ends_with(".conf"))
        texts[name.substr(0, name.size() - 5)].certificate =
            must(os::real_disk().read(paths.certs() + "/" + name, 4096));
    load();
    engine.serves = [this](const std::string& name) { return what_nginx_serves(name); };
    begin();
  }

  // A daemon; the one before was killed, or ended.
  void begin(bool ticks_at_once = true) {
    certificates.reset();
    store.reset();
    store = std::make_unique<store::Store>(must(store::Store::open(paths.database(), k_begin)));
    tls::Parts parts;
    parts.test = [this](const std::string&, const nginx::SiteTls& t) -> Result<void> {
      kill.look();
      tested.push_back(t.certificate);
      return refuses_text ? fail(Code::invalid, "nginx -t: no") : Result<void>{};
    };
    parts.install = [this](const std::string& id, const nginx::SiteTls& t) -> Result<bool> {
      TRY(disk.write(paths.certs() + "/" + id + ".conf", t.certificate, 0644, {}));
      const bool is_same = texts.contains(id) && texts[id].certificate == t.certificate &&
          texts[id].names == t.names && texts[id].hsts == t.hsts &&
          texts[id].redirect == t.redirect && texts[id].in_memory == t.in_memory;
      texts[id] = t;
      return !is_same;
    };
    parts.reload = [this]() -> Result<void> {
      kill.look();
      ++reloads;
      if (reload_error)
        return fail(Code::unhealthy, *reload_error);
      load();
      return {};
    };
    parts.start_nginx = [this]() -> Result<void> {
      ++starts;
      load();
      return {};
    };
    parts.fleet = [this] { return fleet; };
    parts.sharing = sharing;
    parts.takes = [this](const std::string&) { return takes; };
    parts.open_sealed = [this](const std::string& sealed) -> Result<SecretString> {
      if (locked)
        return fail(Code::sealed, "locked");
      return open(sealed);
    };
    parts.event = [this](const auto& env) {
      std::map<std::string, std::string> one(env.begin(), env.end());
      events.push_back(one["CHILLBOX_TLS_BEFORE"] + ">" + one["CHILLBOX_TLS_STATE"] + " " +
          one["CHILLBOX_TLS_ALERT"]);
      if (on_event)
        on_event();
    };
    certificates = std::make_unique<tls::Certificates>(tls::Certificates::Host{
        *store, disk, engine, clock, paths, config, false, std::move(parts)});
    certificates->repair();
    if (ticks_at_once)
      certificates->tick();
  }

  // What NGINX has in memory, from the files that its texts name. It refuses all of them for one
  // that is damaged.
  void load() {
    std::map<std::string, std::string> now;
    for (const auto& [id, text] : texts)
      if (!text.certificate.empty()) {
        const auto file = os::real_disk().read(text.certificate, 1 << 20);
        const auto chain = file ? crypto::check_certificate_file(*file)
                                : fail(Code::not_found, file.error().message);
        if (!chain) {
          nginx_down = true;
          return;
        }
        now[id] = chain->leaf_facts.sha256;
      }
    nginx_down = false;
    loaded = now;
  }
  std::string what_nginx_serves(const std::string& name) {
    for (const auto& [id, text] : texts)
      for (const auto& one : text.names)
        if (crypto::covers(one, name) && loaded.contains(id))
          return loaded[id];
    return "";
  }

  int orders_ever() {
    const auto text = os::real_disk().read(top + "/orders", 1 << 20).value_or("");
    return static_cast<int>(std::ranges::count(text, '\n'));
  }

  Result<SecretString> open(const std::string& sealed) {
    const auto bytes = TRY(unbase64(sealed));
    const auto header = TRY(crypto::parse_age_header(bytes));
    const auto key = TRY(identity->file_key(header));
    crypto::PayloadReader reader(key, crypto::bytes_source(ByteView(bytes).subspan(header.size)));
    SecretString text;
    for (;;) {
      const auto part = TRY(reader.next());
      if (part.empty())
        return text;
      text.append(reinterpret_cast<const char*>(part.data()), part.size());
    }
  }

  // A site goes live, as a switch leaves it.
  void deploy(const std::vector<std::string>& names, const std::string& tls = "",
      const std::string& slug = "blog") {
    const std::string id = cat("1.0.0-", ++m_releases);
    std::string aliases;
    for (size_t i = 1; i < names.size(); ++i)
      aliases += (i > 1 ? ",\"" : "\"") + names[i] + "\"";
    const std::string text = cat(R"({"name":"A site","server_name":")", names.front(),
        R"(","version":"1.0.0","aliases":[)", aliases, "],",
        tls.empty() ? "" : cat("\"tls\":", tls, ","),
        R"("services":[{"name":"app","lang":"python"}]})");
    const auto name = SiteName::parse(slug).value();
    must(os::real_disk().make_dir(paths.releases(name) + "/" + id, 0755));
    must(os::real_disk().write(
        cat(paths.releases(name), "/", id, "/", slug, ".site.json"), text, 0644));
    must(store->put_site(store::SiteRow{.site = name, .live = id}));
    for (const auto& one : names)
      if (!engine.world.a.contains(one))
        engine.world.a[one] = {"192.0.2.1"};
    certificates->refresh();
    if (ticks)
      certificates->tick();
  }
  bool ticks = true; // after a deploy

  // Time passes until something is due, at most so long; as the thread would, a tick at each.
  int pass(int64_t ms) {
    const int64_t end = clock.mono().count() + ms;
    int count = 0;
    while (clock.mono().count() < end) {
      const auto next = certificates->next_ms();
      const int64_t left = end - clock.mono().count();
      if (!next || *next - clock.wall_ms() > left) {
        clock.pass(left);
        break;
      }
      clock.pass(std::max<int64_t>(*next - clock.wall_ms(), 0));
      certificates->tick();
      ++count;
      if (count > 20'000)
        FAIL("it spins");
    }
    return count;
  }
  tls::Record record(const std::string& id = "blog") {
    const auto row = must(store->certificate(id));
    return row ? tls::read_record(*row) : tls::Record{};
  }
  std::string state(const std::string& id = "blog") {
    return std::string(control::name(record(id).state));
  }
  std::string file(const std::string& id = "blog") const {
    return paths.certs() + "/" + id + ".pem";
  }
  bool file_is_good(const std::string& path) {
    const auto text = os::real_disk().read(path, 1 << 20);
    return text && crypto::check_certificate_file(*text).has_value();
  }

  TempDir tmp;
  std::string top;
  os::Paths paths;
  config::HostConfig config;
  Kill kill;
  KillDisk disk{top, kill};
  StillClock clock;
  FakeEngine engine{disk, clock, os::Paths{top}, kill};
  std::optional<crypto::AgeIdentity> identity;
  std::unique_ptr<store::Store> store;
  std::unique_ptr<tls::Certificates> certificates;
  nginx::Fleet fleet;
  tls::Sharing sharing;
  std::map<std::string, nginx::SiteTls> texts;
  std::map<std::string, std::string> loaded;
  std::vector<std::string> tested, events;
  std::function<void()> on_event;
  std::optional<std::string> reload_error;
  bool refuses_text = false, takes = true, locked = true, nginx_down = false;
  int reloads = 0, starts = 0;

private:
  int m_releases = 0;
};

inline bool says(const std::string& text, const std::string& part) {
  INFO(text);
  INFO(part);
  return text.find(part) != std::string::npos;
}

} // namespace chillbox::test
