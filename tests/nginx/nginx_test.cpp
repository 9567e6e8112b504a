// The steps around NGINX, with NGINX played. With the real one: box_test.cpp.
#include "nginx/site_tls.hpp"
#include "sample.hpp"

#include "base/fd.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <thread>

using namespace chillbox;
using namespace chillbox::nginx;

namespace {

struct Host {
  Root root;
  FakeNginx fake;
  config::HostConfig config;
  os::Paths paths{root.path};
  std::string dir = root.at("/etc/nginx/http.d");
  Host() {
    config.nginx_dir = dir;
    fs::create_directories(dir);
  }
  Nginx nginx() { return {os::real_disk(), fake, os::real_clock(), paths, config}; }
};

// Time that passes only when somebody sleeps: a deadline of seconds is over at once.
class FakeClock final : public os::Clock {
public:
  int64_t wall() const override { return m_now.count() / 1000; }
  int64_t wall_ms() const override { return m_now.count(); }
  os::Millis mono() const override { return m_now; }
  void sleep(os::Millis time) override { m_now += time; }

private:
  os::Millis m_now{1'000};
};

// What reload() asks over TCP: serves the generation that stands in the file, or an old one.
class Generation {
public:
  Generation(std::string file, bool stuck)
      : m_file(std::move(file)), m_stuck(stuck),
        m_fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(m_fd.get(), reinterpret_cast<const sockaddr*>(&a), sizeof a) == 0);
    socklen_t size = sizeof a;
    REQUIRE(::getsockname(m_fd.get(), reinterpret_cast<sockaddr*>(&a), &size) == 0);
    REQUIRE(::listen(m_fd.get(), 16) == 0);
    port = ntohs(a.sin_port);
    m_thread = std::thread([this] { serve(); });
  }
  ~Generation() {
    ::shutdown(m_fd.get(), SHUT_RDWR);
    m_thread.join();
  }
  uint16_t port;

private:
  void serve() {
    for (;;) {
      const Fd client(::accept(m_fd.get(), nullptr, nullptr));
      if (!client)
        return;
      char buffer[2048];
      static_cast<void>(::recv(client.get(), buffer, sizeof buffer, 0));
      const auto text = get(m_file);
      const auto at = text.find("location = /generation {\n    return 200 '");
      const auto value = m_stuck || at == std::string::npos
          ? "old"
          : text.substr(at + 41, text.find('\'', at + 41) - at - 41);
      const auto answer = "HTTP/1.1 200 OK\r\n\r\n" + value;
      static_cast<void>(::send(client.get(), answer.data(), answer.size(), MSG_NOSIGNAL));
    }
  }
  std::string m_file;
  bool m_stuck;
  Fd m_fd;
  std::thread m_thread;
};

} // namespace

TEST_CASE("the directory is the configured one, or found once in nginx -T, or an error that says what to set") {
  Host host;
  CHECK(host.nginx().directory().value() == host.dir);
  host.config.nginx_dir = "/no/such";
  CHECK(host.nginx().directory().error().code == Code::not_found);
  host.config.nginx_dir.clear();
  host.fake.answer = [](const os::Command&) {
    return os::Exit{
        0, 0, "# configuration file /etc/nginx/nginx.conf:\nhttp { include http.d/*.conf; }\n", ""};
  };
  Nginx found(os::real_disk(), host.fake, os::real_clock(), host.paths, host.config);
  CHECK(found.directory().value() == "/etc/nginx/http.d");
  CHECK(found.directory().value() == "/etc/nginx/http.d");
  CHECK(host.fake.did == std::vector<std::string>{"nginx -T"});
  host.fake.answer = [](const os::Command&) {
    return os::Exit{0, 0, "# configuration file /n.conf:\nhttp { }\n", ""};
  };
  CHECK(has(host.nginx().directory().error().message, "nginx.dir"));
}

TEST_CASE("the text of hundreds of sites is read to its end; a limit that is reached is an error") {
  Host host;
  host.config.nginx_dir.clear();
  size_t sites = 5'000'000;
  host.fake.answer = [&](const os::Command& c) {
    std::string out = "# configuration file /n.conf:\nhttp {\n" + std::string(sites, '\n') +
        "include http.d/*.conf; }\n";
    out.resize(std::min(out.size(), c.output_limit));
    return os::Exit{0, 0, out, ""};
  };
  CHECK(host.nginx().directory().value() == "/http.d");
  sites = 70'000'000;
  const auto too_much = host.nginx().directory();
  REQUIRE_FALSE(too_much);
  CHECK(too_much.error().code == Code::too_large);
  CHECK(has(too_much.error().message, "over 64 MiB"));
}

TEST_CASE("a test sees every other file of the directory and the new text, and the live directory stays as it is") {
  Host host;
  put(host.dir + "/other.conf", "other");
  put(host.dir + "/chillbox.blog.conf", "old");
  fs::create_symlink("../sites-available/default", host.dir + "/default");
  fs::create_directories(host.dir + "/subdir");
  std::string seen;
  host.fake.answer = [&](const os::Command& c) {
    if (c.argv.back() == "-T")
      return os::Exit{
          0, 0, "# configuration file /etc/nginx/nginx.conf:\naccess_log /data/logs/a.log;\n", ""};
    CHECK(c.contained);
    CHECK(c.view.read_only);
    CHECK(std::ranges::find(c.view.hidden, host.paths.state()) != c.view.hidden.end());
    REQUIRE(c.view.binds.size() == 1);
    CHECK_FALSE(c.view.binds[0].writable);
    CHECK(c.view.binds[0].to == host.dir);
    seen = get(c.view.binds[0].from + "/chillbox.blog.conf") + " " +
        get(c.view.binds[0].from + "/other.conf") + " " +
        fs::read_symlink(c.view.binds[0].from + "/default").string();
    return os::Exit{0, 0, "", ""};
  };
  REQUIRE(host.nginx().test(name(), "new"));
  CHECK(host.fake.did == std::vector<std::string>{"nginx -T", "nginx -t"});
  CHECK(seen == "new other ../sites-available/default");
  CHECK(get(host.dir + "/chillbox.blog.conf") == "old");
  REQUIRE(host.nginx().test(name(), ""));
  CHECK(seen == " other ../sites-available/default");
}

TEST_CASE("a test writes to nothing of the host: what NGINX would write to is empty and goes with it [attack-A2]") {
  Host host;
  std::vector<std::string> places;
  host.fake.answer = [&](const os::Command& c) {
    if (c.argv.back() == "-T")
      return os::Exit{0, 0,
          "# configuration file /etc/nginx/nginx.conf:\naccess_log /tmp/a.log;\nerror_log /etc/nginx/e.log;\nproxy_cache_path /var/cache keys_zone=x:1m;\n",
          ""};
    for (const auto& scratch : c.view.scratch)
      places.push_back(scratch.path);
    return os::Exit{0, 0, "", ""};
  };
  REQUIRE(host.nginx().test(name(), "server { access_log /var/log/nginx/blog/x.log; }"));
  CHECK(std::ranges::find(places, "/tmp") != places.end());
  CHECK(std::ranges::find(places, "/run") != places.end());
  for (const char* read : {"/etc/nginx", "/var", "/etc"})
    CHECK(std::ranges::find(places, read) == places.end());
}

TEST_CASE("a name that another server has is refused, with its file [attack-A2]") {
  Host host;
  const std::string conflict =
      "nginx: [warn] conflicting server name \"example.org\" on 0.0.0.0:80, ignored\n";
  std::string file = "/etc/nginx/conf.d/other.conf";
  host.fake.answer = [&](const os::Command& c) {
    return c.argv.back() == "-T"
        ? os::Exit{0, 0,
              cat("# configuration file ", file, ":\nserver { server_name x example.org; }\n"), ""}
        : os::Exit{0, 0, "", conflict};
  };
  const auto taken = host.nginx().test(name(), "server { server_name example.org; }");
  REQUIRE_FALSE(taken);
  CHECK(has(taken.error().message,
      "host name 'example.org' has a server already, in /etc/nginx/conf.d/other.conf, which would get its visitors"));
  file = "/etc/nginx/conf.d/chillbox.conf";
  CHECK(has(host.nginx().test(name(), "server { server_name Example.org; }").error().message,
      "'example.org' is this host's own name (host.server_name in chillboxd.toml"));
  CHECK(
      host.nginx().test(name(), "server { server_name else.example; }")); // somebody else's trouble
  file = "/etc/nginx/conf.d/chillbox.blog.conf";
  CHECK(host.nginx().test(
      name(), "server { server_name example.org; } server { server_name example.org; }"));
}

TEST_CASE("[fault-1121] what NGINX warns of in a site's text is said: one name in two of its servers, and its own lines [fault-1297]") {
  Host host;
  host.fake.answer = [&](const os::Command& c) {
    return c.argv.back() == "-T"
        ? os::Exit{0, 0,
              "# configuration file /etc/nginx/conf.d/chillbox.blog.conf:\nserver { server_name example.org; }\n",
              ""}
        : os::Exit{0, 0, "",
              "nginx: [warn] conflicting server name \"example.org\" on 0.0.0.0:80, ignored\n"
              "nginx: [warn] conflicting server name \"example.org\" on [::]:80, ignored\n"
              "nginx: [warn] conflicting server name \"not.mine\" on [::]:80, ignored\n"
              "nginx: [warn] duplicate MIME type \"text/html\" in /etc/nginx/conf.d/chillbox.blog.conf:4\n"
              "nginx: [warn] duplicate MIME type \"text/html\" in /etc/nginx/conf.d/other.conf:4\n"};
  };
  const std::string two = "server { server_name example.org; } server { server_name Example.org; }";
  const std::string own =
      "duplicate MIME type \"text/html\" in /etc/nginx/conf.d/chillbox.blog.conf:4";
  CHECK(host.nginx().test(name(), two).value() ==
      std::vector<std::string>{own,
          "two of its servers have the name 'example.org' on one port, and the first gets all its visitors"});
  // The second is there for when the first has a certificate.
  CHECK(host.nginx()
            .test(name(), cat("server { ", listen_include("", host.paths, name()), two.substr(9)))
            .value() == std::vector<std::string>{own});
}

TEST_CASE("the names that a text is asked for: without wildcards, on ports without TLS") {
  const auto names = served_names(
      "server { listen 80; listen [::]:80; listen 8090; listen 443 ssl; server_name .a.example b.example *.c.example; }\n"
      "server { listen 443 ssl; server_name d.example; }\n");
  CHECK(names ==
      std::vector<ServedName>{
          {"a.example", 80}, {"a.example", 8090}, {"b.example", 80}, {"b.example", 8090}});
}

TEST_CASE("a name of the site file that no server of a template answers to is found [fault-1201]") {
  const std::vector<std::string> domains{"a.example", "www.a.example", "b.example"};
  const auto left = [&](std::string_view text) {
    return join(unserved(names_on(text, std::array<uint16_t, 2>{80, 443}), domains), " ");
  };
  CHECK(left("") == "a.example www.a.example b.example");
  CHECK(left("map $uri $x { default 1; }") == "a.example www.a.example b.example");
  CHECK(left("server { listen 8099; server_name a.example; }") ==
      "a.example www.a.example b.example");
  CHECK(left("server { listen 80; server_name A.example; }") == "www.a.example b.example");
  CHECK(left("server { listen 443 ssl; server_name .a.example; }") == "b.example");
  CHECK(left("server { listen 80; server_name *.a.example b.*; }") == "a.example");
  CHECK(left("server { listen [::]:80; server_name ~^(www\\.)?[ab]\\.example$; }").empty());
}

TEST_CASE("logs are opened again by a signal to NGINX's master, and to no other process that has its number by now [attack-D14]") {
  Host host;
  CHECK(host.nginx().reopen_logs().error().code == Code::unreachable);
  put(host.root.at("/run/nginx.pid"),
      std::to_string(::getpid()) + "\n"); // SIGUSR1 would end this test
  CHECK(host.nginx().reopen_logs().error().code == Code::unreachable);
  put(host.root.at("/run/nginx.pid"), "-1\n");
  CHECK(host.nginx().reopen_logs().error().code == Code::unreachable);
  CHECK(host.fake.did.empty());
}

TEST_CASE("a site's logs are closed for others before NGINX opens them, where they were open, too [attack-C6]") {
  Host host;
  const std::string dir = host.root.at("/var/log/nginx/blog");
  fs::create_directories(dir);
  REQUIRE(host.nginx().guard_logs(name()));
  CHECK((fs::status(dir).permissions() & fs::perms::all) ==
      (fs::perms::owner_all | fs::perms::group_read | fs::perms::group_exec));
}

TEST_CASE("somebody else's broken file does not hide where chillbox's own files are [attack-D3]") {
  Host host;
  host.config.nginx_dir.clear();
  host.fake.answer = [](const os::Command&) {
    return os::Exit{
        1, 0, "", "nginx: [emerg] unknown directive \"no\" in /etc/nginx/conf.d/broken.conf:1\n"};
  };
  CHECK(has(host.nginx().directory().error().message, "unknown directive"));
  put(host.root.at("/etc/nginx/conf.d/chillbox.conf"), "x");
  CHECK(host.nginx().directory().value() == host.root.at("/etc/nginx/conf.d"));
}

TEST_CASE("a text that passed a moment ago is not tried again, in another directory it is") {
  Host host;
  REQUIRE(host.nginx().test(name(), "server { }"));
  Nginx nginx = host.nginx();
  host.fake.did.clear();
  REQUIRE(nginx.test(name(), "server { }"));
  REQUIRE(nginx.test(name(), "server { }"));
  CHECK(host.fake.did == std::vector<std::string>{"nginx -T", "nginx -t"});
  put(host.dir + "/other.conf", "changed");
  REQUIRE(nginx.test(name(), "server { }"));
  CHECK(host.fake.did.size() == 4);
}

TEST_CASE("[fault-113] a failing test says NGINX's own line and keeps what was tried") {
  Host host;
  host.fake.answer = [](const os::Command&) {
    return os::Exit{1, 0, "",
        "nginx: [warn] something\nnginx: [emerg] unknown directive \"foo\" in /etc/nginx/http.d/chillbox.blog.conf:3\n"
        "nginx: configuration file /etc/nginx/nginx.conf test failed\n"};
  };
  const auto error = host.nginx().test(name(), "foo;").error();
  CHECK(error.code == Code::invalid);
  CHECK(error.message.starts_with(
      "nginx -t: [emerg] unknown directive \"foo\" in /etc/nginx/http.d/chillbox.blog.conf:3"));
  host.fake.answer = [](const os::Command&) {
    return os::Exit{
        1, 0, "", "2026/11/24 11:24:33 [emerg] 1562#1562: unknown directive \"foo\" in x:3\n"};
  };
  CHECK(host.nginx()
          .test(name(), "foo;")
          .error()
          .message.starts_with("nginx -t: [emerg] unknown directive \"foo\" in x:3"));
  const std::string failed = host.root.at("/var/lib/chillbox/nginx/blog.failed");
  CHECK(get(failed) == "foo;");
  host.fake.answer = [](const os::Command&) { return os::Exit{0, 0, "", ""}; };
  REQUIRE(host.nginx().test(name(), "good;"));
  CHECK_FALSE(fs::exists(failed));
}

TEST_CASE("install writes, replaces and removes one file, and makes the directory of its logs") {
  Host host;
  auto nginx = [&] { return host.nginx(); };
  CHECK(nginx().installed(name()).value().empty());
  REQUIRE(nginx().install(name(), "text"));
  CHECK(nginx().installed(name()).value() == "text");
  CHECK(fs::is_directory(host.root.at("/var/log/nginx/blog")));
  REQUIRE(nginx().install(name(), ""));
  CHECK_FALSE(fs::exists(host.dir + "/chillbox.blog.conf"));
  REQUIRE(nginx().install(name(), ""));
}

TEST_CASE("the host-level server gives way to another default server, and is written only when it changes") {
  Host host;
  host.fake.answer = [](const os::Command&) {
    return os::Exit{0, 0,
        "# configuration file /etc/nginx/sites-enabled/default:\nserver { listen 80 default_server; }\n",
        ""};
  };
  REQUIRE(host.nginx().install_host());
  const auto first = get(host.dir + "/chillbox.conf");
  CHECK_FALSE(has(first, "default_server"));
  CHECK(has(first, "server_name localhost "));
  struct stat before{}, after{};
  REQUIRE(::stat((host.dir + "/chillbox.conf").c_str(), &before) == 0);
  REQUIRE(host.nginx().install_host());
  REQUIRE(::stat((host.dir + "/chillbox.conf").c_str(), &after) == 0);
  CHECK(before.st_ino == after.st_ino);
  host.fake.answer = [](const os::Command&) { return os::Exit{0, 0, "", ""}; };
  REQUIRE(host.nginx().install_host());
  CHECK(has(get(host.dir + "/chillbox.conf"), "listen 80 default_server;"));
}

TEST_CASE("[fault-21] the time for a head is set for all servers, unless the administrator did") {
  Host host;
  REQUIRE(host.nginx().install_host());
  CHECK(has(get(host.dir + "/chillbox.conf"), "\nclient_header_timeout 5s;"));
  host.fake.answer = [](const os::Command&) {
    return os::Exit{0, 0,
        "# configuration file /etc/nginx/nginx.conf:\nhttp { client_header_timeout 20s; }\n", ""};
  };
  REQUIRE(host.nginx().install_host());
  CHECK_FALSE(has(get(host.dir + "/chillbox.conf"), "\nclient_header_timeout"));
}

TEST_CASE("a reload writes a new generation and returns when it is served") {
  Host host;
  REQUIRE(host.nginx().install_host());
  const auto before = get(host.dir + "/chillbox.conf");
  const Generation served(host.dir + "/chillbox.conf", false);
  host.config.http_port = served.port;
  host.fake.did.clear();
  REQUIRE(host.nginx().reload());
  CHECK(host.fake.did == std::vector<std::string>{"nginx -s reload"});
  const auto after = get(host.dir + "/chillbox.conf");
  CHECK(after != before);
  CHECK(after.size() == before.size());
}

TEST_CASE("[fault-114] a reload that NGINX silently did not do is unhealthy, with the last line of its log") {
  Host host;
  REQUIRE(host.nginx().install_host());
  const std::string log = host.root.at("/var/log/nginx/error.log");
  put(log, "[emerg] of yesterday\n");
  host.fake.answer = [&](const os::Command&) {
    std::ofstream(log, std::ios::app)
        << "[notice] reconfiguring\n[emerg] bind() to 0.0.0.0:443 failed (98: Address already in use)\n[emerg] still could not bind()\n";
    return os::Exit{0, 0, "", ""};
  };
  const Generation served(host.dir + "/chillbox.conf", true);
  host.config.http_port = served.port;
  FakeClock clock;
  const auto error =
      Nginx(os::real_disk(), host.fake, clock, host.paths, host.config).reload().error();
  CHECK(error.code == Code::unhealthy);
  CHECK(has(error.message, "it still serves generation 'old'"));
  CHECK(has(error.message, "bind() to 0.0.0.0:443 failed"));
}

TEST_CASE("[fault-120] a daemon that died between a text and its reload: the next one sees that a reload is due, and only then") {
  Host host;
  host.fake.answer = [](const os::Command&) { return os::Exit{0, 0, "", ""}; };
  const std::string loaded = host.root.at("/loaded.conf");
  const Generation served(loaded, false); // what NGINX has loaded
  host.config.http_port = served.port;
  REQUIRE(host.nginx().install_host().value());
  fs::copy_file(host.dir + "/chillbox.conf", loaded);
  CHECK_FALSE(host.nginx().install_host().value());
  REQUIRE(host.nginx().install(name(), "new")); // and then it dies
  CHECK(host.nginx().install_host().value());
  fs::copy_file(host.dir + "/chillbox.conf", loaded, fs::copy_options::overwrite_existing);
  CHECK_FALSE(host.nginx().install_host().value());
  REQUIRE(host.nginx().install(name(), "")); // also when a text went
  CHECK(host.nginx().install_host().value());
}

TEST_CASE("a reload of an NGINX that does not run says so") {
  Host host;
  REQUIRE(host.nginx().install_host());
  host.fake.answer = [](const os::Command&) {
    return os::Exit{1, 0, "",
        "nginx: [error] open() \"/run/nginx.pid\" failed (2: No such file or directory)\n"};
  };
  const auto error = host.nginx().reload().error();
  CHECK(error.code == Code::unreachable);
  CHECK(has(error.message, "is it running?"));
}

TEST_CASE("[fault-115] reloads asked for during one are done as one, after it") {
  Host host;
  REQUIRE(host.nginx().install_host());
  const Generation served(host.dir + "/chillbox.conf", false);
  host.config.http_port = served.port;
  Nginx nginx(os::real_disk(), host.fake, os::real_clock(), host.paths, host.config);
  host.fake.did.clear();
  std::atomic<int> good{0};
  std::vector<std::thread> all;
  for (int i = 0; i < 8; ++i)
    all.emplace_back([&] { good += nginx.reload().has_value() ? 1 : 0; });
  for (auto& thread : all)
    thread.join();
  CHECK(good == 8);
  CHECK(host.fake.did.size() >= 1);
  CHECK(host.fake.did.size() <= 3);
}
