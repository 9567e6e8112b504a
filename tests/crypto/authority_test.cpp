#include "crypto/authority.hpp"

#include "crypto/certificate.hpp"

#include "catch.hpp"

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

constexpr int64_t k_day_of_test = 1'795'000'000;
constexpr Validity k_year{k_day_of_test, k_day_of_test + 365 * 86'400};

} // namespace

TEST_CASE("what an authority issues is a chain that a server may show, and another authority's is none") {
  const auto authority = make_authority("chillbox fleet shop", k_year);
  const auto leaf = issue_certificate(authority, "DNS:etcd1.example", k_year);
  REQUIRE(leaf);
  const std::string key(leaf->key.begin(), leaf->key.end());
  const auto now_ms = (k_day_of_test + 60) * 1000;
  const auto chain = check_chain(leaf->pem + authority.pem, key, {"etcd1.example"}, now_ms);
  INFO((chain ? "" : chain.error().message));
  REQUIRE(chain);
  CHECK(chain->leaf_facts.names == std::vector<std::string>{"etcd1.example"});
  CHECK(chain->leaf_facts.issuer == "chillbox fleet shop");
  const auto other = make_authority("chillbox fleet shop", k_year);
  CHECK_FALSE(check_chain(leaf->pem + other.pem, key, {"etcd1.example"}, now_ms));
  CHECK_FALSE(check_chain(leaf->pem + authority.pem, key, {"etcd2.example"}, now_ms));
}

TEST_CASE("a client's certificate is for no server") {
  const auto authority = make_authority("a", k_year);
  const auto leaf = issue_certificate(authority, "URI:chillbox:shop", k_year);
  REQUIRE(leaf);
  const std::string key(leaf->key.begin(), leaf->key.end());
  const auto refused = check_chain(leaf->pem + authority.pem, key, {}, k_year.from * 1000);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == Code::invalid);
}

TEST_CASE("what cannot be named in a certificate, and what is no authority, issues none") {
  const auto authority = make_authority("a", k_year);
  CHECK_FALSE(issue_certificate(authority, "IP:not-an-address", k_year));
  CHECK_FALSE(issue_certificate(authority, "nonsense", k_year));
  auto another = make_authority("a", k_year);
  another.pem = authority.pem;
  CHECK_FALSE(issue_certificate(another, "IP:10.0.0.1", k_year));
  CHECK_FALSE(issue_certificate({}, "IP:10.0.0.1", k_year));
}
