#include "catch.hpp"
#include "crypto/certificate.hpp"
#include "tls/authority.hpp"

using namespace chillbox;
using namespace chillbox::crypto;
using test::Authority;

namespace {

constexpr int64_t k_now = 1'800'000'000'000, k_day = 24LL * 3'600'000;

struct Asked {
  SecretString key = make_certificate_key();
  std::string csr = make_certificate_request(key, {"a.example", "b.example"}).value();
};

test::Leaf good() {
  return {.names = {"b.example", "a.example"},
      .from_ms = k_now - 1'000,
      .until_ms = k_now + 45 * k_day};
}

std::string why(const Result<CheckedChain>& result) {
  return result ? "ok" : result.error().message;
}

std::string verdict(const std::string& chain, const Asked& asked,
    const std::vector<std::string>& names = {"a.example", "b.example"}) {
  return why(check_chain(chain, asked.key, names, k_now));
}

bool says(const std::string& text, const std::string& part) {
  INFO(text);
  return text.find(part) != std::string::npos;
}

} // namespace

TEST_CASE("a request has the names and nothing else, and each key is a new one") {
  const Asked one, other;
  CHECK(Authority::names_of(one.csr) == "DNS:a.example, DNS:b.example");
  CHECK(one.key != other.key);
  CHECK(one.key.starts_with("-----BEGIN PRIVATE KEY-----"));
  CHECK_FALSE(make_certificate_request("nonsense", {"a.example"}));
  CHECK_FALSE(make_certificate_request(one.key, {}));
}

TEST_CASE("what a CA issued is read, checked and written again (tls 12)") {
  Authority ca;
  const Asked asked;
  const std::string chain = ca.issue(asked.csr, good());
  const auto checked = check_chain("noise\n" + chain + "noise", asked.key, {"a.example"}, k_now);
  REQUIRE(checked);
  CHECK(checked->pem == chain);
  CHECK(checked->leaf + ca.issuer_pem() == chain);
  CHECK(checked->leaf_facts.names == std::vector<std::string>{"a.example", "b.example"});
  CHECK(checked->leaf_facts.issuer == "Test CA");
  CHECK(checked->leaf_facts.not_after_ms == k_now + 45 * k_day);
  CHECK(checked->leaf_facts.sha256.size() == 64);
  CHECK(first_certificate(std::string(asked.key) + chain) == checked->leaf);
}

TEST_CASE("a chain that is not what was asked for is refused [fault-308] (tls 12)") {
  Authority ca, stranger("Stranger");
  const Asked asked, other;
  const auto with = [&](auto change) {
    auto leaf = good();
    change(leaf);
    return ca.issue(asked.csr, leaf);
  };
  CHECK(verdict(ca.issue(asked.csr, good()), asked) == "ok");
  CHECK(says(verdict(ca.issue(other.csr, good()), asked), "another key"));
  CHECK(says(verdict(ca.leaf(asked.csr, good()) + stranger.issuer_pem(), asked), "not signed by"));
  CHECK(says(verdict(ca.issue(asked.csr, good()) + ca.issuer_pem(), asked), "not signed by"));
  CHECK(says(verdict(with([](auto& l) { l.names = {"a.example"}; }), asked), "b.example"));
  CHECK(says(
      verdict(with([](auto& l) { l.names = {"a.example", "*.example"}; }), asked), "b.example"));
  CHECK(says(verdict(with([](auto& l) { l.until_ms = k_now - 1'000; }), asked), "valid until"));
  CHECK(says(verdict(with([](auto& l) { l.usage = "clientAuth"; }), asked), "serverAuth"));
  CHECK(says(verdict(with([](auto& l) { l.authority = true; }), asked), "authority"));
  CHECK(verdict(with([](auto& l) { l.usage = ""; }), asked) == "ok"); // none is all of them
  CHECK(says(verdict("", asked), "no certificate"));
  CHECK(says(verdict(std::string(2 << 20, 'x'), asked), "more than"));
  std::string many;
  for (int i = 0; i < 9; ++i)
    many += ca.issuer_pem();
  CHECK(says(verdict(many, asked), "more than 8"));
  std::string damaged = ca.issue(asked.csr, good());
  damaged.replace(200, 4, "!!!!");
  CHECK(says(verdict(damaged, asked), "damaged"));
}

TEST_CASE("a certificate that begins later is for later (tls 15)") {
  Authority ca;
  const Asked asked;
  auto leaf = good();
  leaf.from_ms = k_now + 300'000; // a slow clock
  CHECK(check_chain(ca.issue(asked.csr, leaf), asked.key, {}, k_now));
  leaf.from_ms = k_now + k_day;
  const auto early = check_chain(ca.issue(asked.csr, leaf), asked.key, {}, k_now);
  REQUIRE_FALSE(early);
  CHECK(early.error().code == Code::throttled);
  CHECK(says(early.error().message, "this host's clock says 2027-"));
}

TEST_CASE("a file is a key with its own chain, whatever its time (tls 19, 23)") {
  Authority ca;
  const Asked asked, other;
  auto leaf = good();
  leaf.until_ms = k_now - k_day;
  const std::string chain = ca.issue(asked.csr, leaf);
  const std::string key(asked.key), file = key + chain;
  CHECK(check_certificate_file(file));
  leaf.authority = true; // as `openssl req -x509` makes one
  CHECK(check_certificate_file(std::string(asked.key) + ca.leaf(asked.csr, leaf)));
  CHECK(key_in(file).value() == asked.key);
  CHECK_FALSE(check_certificate_file(chain));
  CHECK_FALSE(check_certificate_file(std::string(other.key) + chain));
  for (const size_t cut : {size_t{0}, size_t{1}, key.size() / 2, key.size(), file.size() - 5})
    CHECK_FALSE(check_certificate_file(file.substr(0, cut)));
}

TEST_CASE("a wildcard covers one label") {
  CHECK(covers("a.example", "a.example"));
  CHECK(covers("*.example", "a.example"));
  CHECK(covers("*.example", "*.example"));
  CHECK_FALSE(covers("*.example", "example"));
  CHECK_FALSE(covers("*.example", "b.a.example"));
  CHECK_FALSE(covers("*.example", ".example"));
  CHECK_FALSE(covers("b.example", "a.example"));
}
