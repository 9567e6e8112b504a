// A certificate that a site brings itself, in its secret set.
#include "rollout/host.hpp"
#include "tls/authority.hpp"

using namespace chillbox;
using namespace chillbox::test;
using store::JobState;

namespace {

struct OwnCertificate : Host {
  OwnCertificate() { unlock(); }

  std::string pem(const std::vector<std::string>& names, bool of_another_key = false) {
    const auto mine = crypto::make_certificate_key();
    const auto csr = must(crypto::make_certificate_request(mine, names));
    const int64_t now = clock.wall_ms();
    const std::string chain = authority.issue(
        csr, {.names = names, .from_ms = now - 3'600'000, .until_ms = now + 86'400'000});
    return cat(of_another_key ? crypto::make_certificate_key() : mine, chain);
  }
  store::Job send(const std::string& text) { return secrets({{"tls/blog.pem", text}}); }
  store::Job deploy_with_it(const std::string& version = "1.0.0") {
    return deploy({.version = version,
        .members =
            R"("tls":{"mode":"provided"},"domain_list":["blog.example","www.blog.example"],)"});
  }

  Authority authority;
};

bool says(const store::Job& job, std::string_view text) {
  INFO(job.message);
  CHECK(job.code == Code::preflight);
  CHECK(exit_code(job.code.value_or(Code::failure)) == 8);
  return job.message.find(text) != std::string::npos;
}

} // namespace

TEST_CASE("[fault-332] a provided certificate that is missing, of another key, or without one of the names refuses the deploy") {
  OwnCertificate host;
  CHECK(says(host.deploy_with_it(), "certificate 'tls/blog.pem' is not in the site's secret set"));
  REQUIRE(host.send("no pem").state == JobState::done); // the site has no release yet
  CHECK(says(host.deploy_with_it(), "certificate 'tls/blog.pem' of the secret set: "));
  REQUIRE(host.send(host.pem({"blog.example", "www.blog.example"}, true)).state == JobState::done);
  CHECK(says(host.deploy_with_it(), "key"));
  REQUIRE(host.send(host.pem({"blog.example"})).state == JobState::done);
  CHECK(says(host.deploy_with_it(), "is for blog.example, and not for 'www.blog.example'"));
  REQUIRE(host.send(host.pem({"blog.example", "*.blog.example"})).state == JobState::done);
  const auto good = host.deploy_with_it();
  INFO(good.message);
  CHECK(good.state == JobState::done);
}

TEST_CASE("[fault-332] a secret set with a wrong certificate is refused, and the one before it stays") {
  OwnCertificate host;
  const std::string first = host.pem({"blog.example", "www.blog.example"});
  REQUIRE(host.send(first).state == JobState::done);
  REQUIRE(host.deploy_with_it().state == JobState::done);
  CHECK(says(host.send(host.pem({"blog.example"})), "and not for 'www.blog.example'"));
  CHECK(says(host.send(host.pem({"blog.example", "www.blog.example"}, true)), "key"));
  CHECK(host.text(host.paths.secrets_of(site()) + "/tls/blog.pem") == first);
  const auto before = host.store().sites_changed();
  const auto renewed = host.send(host.pem({"blog.example", "www.blog.example"}));
  INFO(renewed.message);
  CHECK(renewed.state == JobState::done);
  CHECK(host.store().sites_changed() != before); // what looks after certificates looks at it now
}
