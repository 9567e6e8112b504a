#include "catch.hpp"

#include "base/secret.hpp"
#include "base/text.hpp"
#include "config/host.hpp"
#include "config/site.hpp"
#include "config/toml.hpp"

using namespace chillbox;
using namespace chillbox::config;
using namespace std::chrono_literals;

namespace {

bool holds(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string problems(std::string_view toml) {
  const auto host = parse_host_config(toml, "chillboxd.toml");
  return host ? "" : host.error().message;
}

constexpr const char* k_key = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

std::string sender_problem(std::string_view text, std::string_view name = "laptop") {
  init_crypto();
  const auto sender = parse_sender(text, name);
  return sender ? "" : sender.error().message;
}

} // namespace

TEST_CASE("an empty host configuration is the defaults") {
  const auto host = parse_host_config("", "chillboxd.toml").value();
  CHECK(host.server_name == "_");
  CHECK(host.stage_size == 512ULL << 20);
  CHECK(host.http_port == 80);
  CHECK(host.access_log == "combined");
  CHECK(host.keep_releases == 3);
  CHECK(parse_host_config("# nothing\n[limits]\n", "chillboxd.toml"));
}

TEST_CASE("every key of the host configuration arrives with its unit") {
  const auto host = parse_host_config(R"(
[host]
server_name = "box.example.test"
log_level = "debug"
tech_email = "tech@example.test"
[stage]
size = "2G"
secrets_size = 1048576
allow_swap = true
[limits]
artifact_max = "100M"
unpacked_max = "1G"
entries_max = 1000
ratio_max = 50
jobs_max = 2
queue_max = 10
upload_wait = "2m"
build_timeout = 90
tasks_default = 100
serial_jump_max = 5
reserve_percent = 10
scrypt_cap = 16
[data]
snapshots = "required"
snapshot_max = "2M"
[nginx]
dir = "/etc/nginx/http.d"
access_log = "json"
group = "www-data"
http_port = 8080
https_port = 8443
tls_certificate = "/etc/ssl/box.pem"
tls_certificate_key = "/etc/ssl/box.key"
trusted_proxies = ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"]
[tls]
acme = "https://ca.example.test:9000/acme/directory"
profile = "shortlived"
contact = ["tls+box@example.test"]
ca_file = "/etc/ssl/ca.pem"
eab_kid = "kid-1"
eab_key_file = "/etc/chillbox/eab"
engine = "lego"
http3 = true
proxy_protocol = true
peers = ["10.0.0.2", "10.0.0.3:8080", "[2001:db8::2]"]
[defaults]
watch = "500ms"
keep_releases = 7
[variables]
s3_endpoint_url = "https://s3.example.test"
artifact_bucket = "a"
immutable_bucket = "b"
immutable_bucket_domain = "b.example.test"
subnet = "10.0.0.0/24"
[edge]
test_port = 9000
)",
      "chillboxd.toml")
                        .value();
  CHECK(host.server_name == "box.example.test");
  CHECK(host.log_level == "debug");
  CHECK(host.tech_email == "tech@example.test");
  CHECK(host.stage_size == 2ULL << 30);
  CHECK(host.secrets_size == 1ULL << 20);
  CHECK(host.allow_swap);
  CHECK(host.artifact_max == 100ULL << 20);
  CHECK(host.unpacked_max == 1ULL << 30);
  CHECK(host.entries_max == 1000);
  CHECK(host.ratio_max == 50);
  CHECK(host.jobs_max == 2);
  CHECK(host.queue_max == 10);
  CHECK(host.upload_wait == 120s);
  CHECK(host.build_timeout == 90s);
  CHECK(host.tasks_default == 100);
  CHECK(host.serial_jump_max == 5);
  CHECK(host.reserve_percent == 10);
  CHECK(host.scrypt_cap == 16);
  CHECK(host.snapshots == "required");
  CHECK(host.snapshot_max == 2ULL << 20);
  CHECK(host.nginx_dir == "/etc/nginx/http.d");
  CHECK(host.access_log == "json");
  CHECK(host.nginx_group == "www-data");
  CHECK(host.http_port == 8080);
  CHECK(host.https_port == 8443);
  CHECK(host.tls_certificate == "/etc/ssl/box.pem");
  CHECK(host.tls_certificate_key == "/etc/ssl/box.key");
  CHECK(host.trusted_proxies ==
      std::vector<std::string>{"10.0.0.0/8", "192.0.2.1", "2001:db8::/32", "::1"});
  CHECK(host.tls.directory() == "https://ca.example.test:9000/acme/directory");
  CHECK(host.tls.profile == "shortlived");
  CHECK(host.tls.contact == std::vector<std::string>{"tls+box@example.test"});
  CHECK(host.tls.ca_file == "/etc/ssl/ca.pem");
  CHECK(host.tls.eab_kid == "kid-1");
  CHECK(host.tls.eab_key_file == "/etc/chillbox/eab");
  CHECK(host.tls.engine == "lego");
  CHECK(host.tls.http3);
  CHECK(host.tls.proxy_protocol);
  CHECK(host.tls.peers == std::vector<std::string>{"10.0.0.2", "10.0.0.3:8080", "[2001:db8::2]"});
  CHECK(host.watch == 500ms);
  CHECK(host.keep_releases == 7);
  CHECK(host.s3_endpoint_url == "https://s3.example.test");
  CHECK(host.artifact_bucket == "a");
  CHECK(host.immutable_bucket == "b");
  CHECK(host.immutable_bucket_domain == "b.example.test");
  CHECK(host.subnet == "10.0.0.0/24");
  CHECK(host.edge_test_port == 9000);
}

TEST_CASE("what templates of sites may use more is lists of plain names, servers and paths") {
  const auto host = parse_host_config(
      "[nginx]\nallow_directives = [\"brotli\"]\nallow_variables = [\"geoip2_country\"]\n"
      "allow_upstreams = [\"api.example:8443\", \"[::1]:9000\"]\nallow_paths = [\"/mnt/media\"]\n",
      "chillboxd.toml")
                        .value();
  CHECK(host.nginx_allow_directives == std::vector<std::string>{"brotli"});
  CHECK(host.nginx_allow_variables == std::vector<std::string>{"geoip2_country"});
  CHECK(host.nginx_allow_upstreams == std::vector<std::string>{"api.example:8443", "[::1]:9000"});
  CHECK(host.nginx_allow_paths == std::vector<std::string>{"/mnt/media"});
  for (const char* line : {"allow_directives = [\"a;b\"]", "allow_directives = \"x\"",
           "allow_variables = [\"$x\"]", "allow_upstreams = [\"http://x/\"]",
           "allow_paths = [\"/a/../b\"]", "allow_paths = [\"a\"]", "allow_upstreams = [\"\"]"}) {
    INFO(line);
    CHECK(holds(problems(cat("[nginx]\n", line)), "chillboxd.toml:2: nginx.allow_"));
  }
}

TEST_CASE("a trusted proxy is an address or a network, without a host name, a port, a socket or bits that mean nothing") {
  for (const char* proxy :
      {"proxy.example", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/8/8", "2001:db8::1/32",
          "2001:db8::/129", "unix:", "10.0.0.0:80", "", "*", "10.0.0.0/ 8", "10.0.0"}) {
    INFO(proxy);
    CHECK(holds(problems(cat("[nginx]\ntrusted_proxies = [\"", proxy, "\"]")),
        "chillboxd.toml:2: nginx.trusted_proxies[0]: "));
  }
}

TEST_CASE("a host that says nothing of TLS asks Let's Encrypt, with the profile of 45 days") {
  const auto asks = [](std::string_view toml) {
    return parse_host_config(toml, "chillboxd.toml").value().tls;
  };
  CHECK(asks("").directory() == "https://acme-v02.api.letsencrypt.org/directory");
  CHECK(profile_of({}, asks("")) == "tlsserver");
  CHECK(asks("[tls]\nacme = \"letsencrypt-staging\"").directory() ==
      "https://acme-staging-v02.api.letsencrypt.org/directory");
  CHECK(asks("[tls]\nacme = \"off\"").directory().empty());
  CHECK_FALSE(asks("[tls]\nacme = \"off\"").issues());
  CHECK(profile_of({}, asks("[tls]\nacme = \"https://ca.lan/dir\"")).empty());
  CHECK(profile_of({}, asks("[tls]\nprofile = \"classic\"")) == "classic");
  CHECK(
      profile_of({.profile = "shortlived"}, asks("[tls]\nprofile = \"classic\"")) == "shortlived");
}

TEST_CASE("the world knows no names under what is reserved, and none without a dot") {
  for (const char* name : {"chillbox.dev", "a.b.co.uk", "test.de", "xn--bcher-kva.com",
           "local.chillbox.net", "mytest.org", "home.arpa.org", "notexample.com"}) {
    INFO(name);
    CHECK(is_public_name(name));
  }
  for (const char* name : {"box", "localhost", "blog.example", "a.test", "x.invalid", "db.local",
           "a.b.internal", "abc.onion", "nas.home.arpa", "dev.localhost", "x.alt", "example.com",
           "www.example.org"}) {
    INFO(name);
    CHECK_FALSE(is_public_name(name));
  }
}

TEST_CASE("a directory is https, a peer an address, and contact an address of e-mail") {
  for (const char* line : {"acme = \"http://ca.example/dir\"", "acme = \"https://\"",
           "acme = \"https:///x\"", "acme = \"lets-encrypt\"", "acme = \"https://a b/\"",
           "acme = true", "acme = \"\"", "peers = [\"other.example\"]", "peers = [\"10.0.0.2:0\"]",
           "peers = [\"10.0.0.2:\"]", "peers = [\"10.0.0.2/24\"]", "peers = [\"[2001:db8::2\"]",
           "peers = [\"2001:db8::2\"]", "peers = [\"10.0.0.2; return 200\"]", "peers = [\"\"]",
           "contact = [\"admin\"]", "contact = [\"mailto:a@b.example\"]",
           "contact = [\"@b.example\"]", "contact = [\"a@b@c.example\"]", "engine = \"../sh\"",
           "engine = \"a b\"", "issuer = \"web1\"", "issuer = \"fleet\"", "profile = \"\\\"\"",
           "ca_file = \"ca.pem\"", "http3 = 1"}) {
    INFO(line);
    CHECK(holds(problems(cat("[tls]\n", line)), "chillboxd.toml:2: tls."));
  }
  CHECK(holds(problems("[tls]\neab_kid = \"a\""), "tls.eab_kid: must be set together"));
  CHECK(holds(problems("[tls]\nproxy_protocol = true"), "nginx.trusted_proxies"));
}

TEST_CASE("every problem of the host configuration is told at once, with its line") {
  CHECK(
      problems(
          "[limits]\nartifact_max = \"1TB\"\njobs_max = 0\n\n[limts]\na = 1\n[host]\nlog_levl = \"info\"\n") ==
      "chillboxd.toml:5: limts: unknown field, allowed are host, stage, limits, nginx, tls, backup, metrics, fetch, fleet, notify, defaults, data, variables, edge; did you mean 'limits'?\n"
      "chillboxd.toml:8: host.log_levl: unknown field, allowed are server_name, log_level, tech_email; did you mean 'log_level'?\n"
      "chillboxd.toml:2: limits.artifact_max: found '1TB', must be a size such as \"256M\" or \"2G\", or a number of bytes, from 1.0 MB to 1.1 TB\n"
      "chillboxd.toml:3: limits.jobs_max: found 0, must be a whole number from 1 to 64");
}

TEST_CASE("values of the wrong type or out of range are refused") {
  for (const char* bad : {"host = 1", "[host]\nserver_name = \"A b\"",
           "[host]\nserver_name = \"a;b\"", "[host]\nlog_level = \"loud\"",
           "[host]\ntech_email = \"a b\"", "[stage]\nsize = \"lots\"", "[stage]\nsize = -1",
           "[stage]\nallow_swap = 1", "[limits]\nreserve_percent = 51", "[limits]\nscrypt_cap = 23",
           "[limits]\nupload_wait = 0", "[limits]\nratio_max = 1.5", "[nginx]\nhttp_port = 65536",
           "[nginx]\ndir = \"http.d\"", "[nginx]\ndir = \"/a/../b\"", "[nginx]\ndir = \"/a b\"",
           "[nginx]\nhttp_port = 443", "[nginx]\ntls_certificate = \"/a\"",
           "[defaults]\nkeep_releases = 0", "[variables]\nsubnet = \"a;b\"",
           "[edge]\ntest_port = -1", "[host]\nserver_name = 1979-05-27",
           "[limits]\nratio_max = inf"}) {
    INFO(bad);
    CHECK(problems(bad).starts_with("chillboxd.toml:"));
  }
}

TEST_CASE("a text that is not TOML is refused with its line") {
  CHECK(problems("[host]\nserver_name = \n").starts_with("chillboxd.toml:2: "));
  CHECK(problems("[host]\na = 1\na = 2\n").starts_with("chillboxd.toml:3: "));
  CHECK(problems("a = \"\xff\"\n").starts_with("chillboxd.toml:1: "));
  CHECK(problems(std::string(256 * 1024 + 1, '\n')) ==
      "chillboxd.toml: 262145 bytes, the limit is 262144");
  CHECK_FALSE(
      problems("[host]\nserver_name = " + std::string(200, '[') + std::string(200, ']')).empty());
}

TEST_CASE("what toml++ itself does not survive is refused with its line") {
  CHECK(holds(problems("[host]\n[*a.b]\n"), "chillboxd.toml:2: "));
  CHECK(holds(problems("[[*]]\n"), "chillboxd.toml:1: "));
  for (const char* end : {"\"\"\"\"\"\"", "''''''",
           "\"\"\"a\"\"\""}) // two quotes more could stand behind them, and the text ends
    CHECK(holds(problems(std::string(end)), "chillboxd.toml:1: "));
  for (const char* stray : {"h\u00e9 = 1", "a = 1 \ufef9", "[h\ufffd]", R"(a = """x""" é)",
           "a = 'x'\u00e9", "a = '''x''''' \u00e9", R"(a = "\"#" é)", "a = -\"\u00e9\"", "a = 'b'c",
           "a = \"\\\u00e9\""}) {
    INFO(stray);
    Lines lines;
    const auto json = parse_toml(std::string("[host]\n") + stray + "\n", "x", lines);
    REQUIRE_FALSE(json);
    CHECK(json.error().message.starts_with("x:2: "));
  }
}

TEST_CASE("characters outside of ASCII may be in comments and strings, and quotes in strings of each kind") {
  Lines lines;
  const auto json =
      parse_toml("a = \"Gärten ✓ 😀 \\\\é\" # ü\nb = \"\"\"\\\n\ufefe é\"\"\"\n", "x", lines);
  REQUIRE(json);
  CHECK((*json)["a"] == "Gärten ✓ 😀 \\é");
  CHECK((*json)["b"] == "\ufefe é");
  CHECK((*parse_toml("a = 'é'\nb = '''\né'''\n", "x", lines))["a"] == "é");
  for (const char* good : {"# \u00e9\n", "\xEF\xBB\xBF[host]\n", "[host] # '\u00e9\n"})
    CHECK(problems(good) == "");
  for (const char* text :
      {"'x'", R"("\"#")", "'''\nx'''''", "\"\"\"\\\"\"x\"\"\"\"\"\n", "['a',\"b\"]"})
    CHECK(holds(problems(std::string("[host]\nlog_level = ") + text),
        "log_level: found")); // read, and not a level
}

TEST_CASE("[fault-1237] text without quotes is named as that") {
  Lines lines;
  for (const char* word : {"web1.example", "off"}) {
    const auto json = parse_toml(cat("[host]\nserver_name = ", word, "\n"), "x", lines);
    REQUIRE_FALSE(json);
    CHECK(json.error().message.starts_with("x:2: "));
    CHECK(json.error().message.ends_with(": text is written in quotes"));
  }
}

TEST_CASE("a sender's file has keys, newest first, and what it is limited to") {
  init_crypto();
  const auto sender = parse_sender(cat("# rotated\n\n", k_key, "\r\nwhsec_", std::string(32, 'A'),
                                       "\nsites: blog, shop\ntypes: site.deploy,host.ping\n"),
      "laptop")
                          .value();
  CHECK(sender.name == "laptop");
  CHECK(sender.format == "standard");
  REQUIRE(sender.keys.size() == 2);
  CHECK(sender.keys[0].text == k_key);
  CHECK(sender.keys[1].text == "whsec_" + std::string(32, 'A'));
  CHECK(sender.sites == std::vector<std::string>{"blog", "shop"});
  CHECK(sender.types == std::vector<std::string>{"site.deploy", "host.ping"});
  const auto github = parse_sender("It's a Secret to Everybody\nformat: github\n", "gh").value();
  CHECK(github.format == "github");
  REQUIRE(github.keys.size() == 1);
  CHECK(github.keys[0].text == "It's a Secret to Everybody");
}

TEST_CASE("[fault-9] an empty, short or malformed webhook key is refused, by its line and never by its text") {
  CHECK(sender_problem("") ==
      "webhook sender 'laptop': has no key: chillboxctl webhook add laptop makes one");
  CHECK(holds(sender_problem("# only\n"), "has no key"));
  CHECK(holds(sender_problem("whsec_\n"), "line 1: key: must be whsec_"));
  for (const std::string bad : {"whsec_c2hvcnQ=", "secretsecretsecretsecretsecretsecret",
           "whsec_not*base64*at*all*not*base64*at*all",
           "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx=", "format: github\nhunter2"}) {
    const auto text = sender_problem(cat(k_key, "\n", bad, "\n"));
    INFO(text);
    CHECK(text.starts_with("webhook sender 'laptop': line "));
    CHECK_FALSE(holds(text, split(bad, '\n').back()));
  }
  CHECK(holds(
      sender_problem(cat("whsec_", std::string(88, 'A'), "\n")), "24 to 64 bytes")); // 66 bytes
}

TEST_CASE("a key with an end is good until that second, and is written as it is read") {
  const std::string line = cat(k_key, " until=1800000000");
  const auto sender = parse_sender(cat(k_key, "\n", line, "\n"), "laptop").value();
  REQUIRE(sender.keys.size() == 2);
  CHECK_FALSE(sender.keys[0].ended(INT64_MAX));
  CHECK(sender.keys[1].text == k_key);
  CHECK_FALSE(sender.keys[1].ended(1'799'999'999));
  CHECK(sender.keys[1].ended(1'800'000'000));
  CHECK(key_line(sender.keys[1]) == line);
  for (const char* bad :
      {"", "soon", "-1", "1800000000.5", "253402300800", "99999999999999999999"}) {
    const auto text = sender_problem(cat(k_key, " until=", bad, "\n"));
    CHECK(holds(text, "line 1: "));
    CHECK_FALSE(holds(text, "whsec_Mf"));
  }
  CHECK(parse_sender("It's a Secret to Everybody until=7\nformat: github\n", "gh")
            .value()
            .keys[0]
            .until == 7);
}

TEST_CASE("a sender's settings are checked too") {
  auto with = [](std::string_view line) { return sender_problem(cat(k_key, "\n", line, "\n")); };
  CHECK(with("types: site.deplo") ==
      "webhook sender 'laptop': line 2: type 'site.deplo': must be one of site.deploy, site.rollback, site.restart, "
      "secrets.update, host.ping; did you mean 'site.deploy'?");
  CHECK(with("sites: Root").starts_with("webhook sender 'laptop': line 2: site name 'Root'"));
  CHECK(with("sites:").starts_with("webhook sender 'laptop': line 2: site name ''"));
  CHECK(with("format: gitlab").ends_with("must be standard or github"));
  CHECK_FALSE(sender_problem(k_key, "../x").empty());
  std::string nine;
  for (int i = 0; i < 9; ++i)
    nine += cat(k_key, "\n");
  CHECK(holds(sender_problem(nine), "line 9: more than 8 keys"));
}
