// The person's key on the laptop, and the agent that keeps it: what it signs, and for how long.
#include "catch.hpp"

#include "base/encoding.hpp"
#include "base/text.hpp"
#include "cli/laptop/agent.hpp"
#include "cli/laptop/key_store.hpp"
#include "crypto/age.hpp"
#include "report.hpp"

#include <nlohmann/json.hpp>

using namespace chillbox;
using namespace chillbox::cli;
using namespace std::chrono_literals;

namespace {

struct LaptopHome {
  crypto::MinisignSecretKey key = crypto::MinisignSecretKey::generate();
  crypto::MinisignPublicKey half = key.public_key();
  std::string recipient = age_identity_of(key).recipient();
  std::string id = crypto::key_id_text(half.id);
  std::array<uint8_t, 64> digest{7};
  KeyAgent agent{std::move(key), "jo@mba", 15min, 0ms};

  std::string request(
      std::string_view verb, std::string_view member, std::string_view value) const {
    return Json{{"verb", verb}, {"key", id}, {"blake2b", hex(digest)}, {member, value}}.dump();
  }
  KeyAgent::Answer sign(std::string_view statement, os::Millis now = 1ms) {
    return agent.answer(request("sign", "statement", statement), now);
  }
};

const std::string k_statement =
    cat("chillbox site=hello version=1.0.0 serial=7 sha256=", std::string(64, 'a'));

} // namespace

TEST_CASE("the agent signs what an artifact's signature says, and it is the key's") {
  LaptopHome laptop;
  const auto answer = laptop.sign(k_statement);
  REQUIRE(answer.text);
  const auto text = Json::parse(*answer.text)["signature"].get<std::string>();
  const auto signature = crypto::MinisignSignature::parse(text);
  REQUIRE(signature);
  CHECK(signature->verify(laptop.half, laptop.digest).value() == k_statement);
}

TEST_CASE("[attack-Q1] the agent signs nothing but statements about artifacts [fault-450]") {
  LaptopHome laptop;
  for (const std::string& text : {std::string("hello"), std::string(), cat("x", k_statement),
           cat(k_statement, "\n", k_statement), cat(k_statement, " site=other"),
           std::string("timestamp:1 file:x"), cat(k_statement, " more=1"),
           std::string("chillbox person=kim")}) {
    const auto answer = laptop.sign(text);
    REQUIRE_FALSE(answer.text);
    CHECK((answer.text.error().code == Code::denied || answer.text.error().code == Code::invalid));
  }
  for (const std::string& text :
      {std::string("{"), std::string("[]"), std::string("{\"verb\":\"export\"}"),
          std::string("{\"verb\":\"sign\"}"), laptop.request("sign", "blake2b", "00")})
    CHECK_FALSE(laptop.agent.answer(text, 1ms).text);
}

TEST_CASE("the agent does not sign with another key than the one that was asked for") {
  LaptopHome laptop;
  laptop.id = "0000000000000000";
  CHECK(laptop.sign(k_statement).text.error().code == Code::conflict);
}

TEST_CASE("the agent ends 15 minutes after its last use, after 8 hours and when it is locked") {
  LaptopHome laptop;
  CHECK_FALSE(laptop.agent.ended(15min - 1ms));
  CHECK(laptop.agent.ended(15min));
  CHECK(laptop.sign(k_statement, 15min).text.error().code == Code::sealed);
  os::Millis now = 0ms;
  for (; now < 8h - 1min; now += 10min)
    REQUIRE(laptop.sign(k_statement, now).text);
  CHECK(laptop.agent.ended(8h));
  LaptopHome other;
  for (now = 0ms; now < 20min; now += 5min) // looking is no use
    (void)other.agent.answer("{\"verb\":\"status\"}", now);
  CHECK(other.agent.ended(now));
  LaptopHome locked;
  CHECK(locked.agent.answer("{\"verb\":\"lock\"}", 1ms).text);
  CHECK(locked.sign(k_statement).text.error().code == Code::sealed);
}

TEST_CASE("the agent opens what is encrypted to the person, and nothing else") {
  LaptopHome laptop;
  const auto file_for = [](const std::string& recipient) {
    Bytes file;
    auto writer = crypto::AgeWriter::to_recipients({recipient}, [&](ByteView bytes) {
      file.insert(file.end(), bytes.begin(), bytes.end());
      return Result<void>();
    });
    REQUIRE(writer);
    REQUIRE(writer->write(bytes_of("hunter2")));
    REQUIRE(writer->finish());
    return file;
  };
  const auto opened = laptop.agent.answer(
      laptop.request("open", "header", base64(file_for(laptop.recipient))), 1ms);
  REQUIRE(opened.text);
  CHECK(opened.secret.size() == 16);
  const auto others =
      laptop.agent.answer(laptop.request("open", "header",
                              base64(file_for(crypto::AgeIdentity::generate().recipient()))),
          1ms);
  CHECK(others.text.error().code == Code::not_found);
  CHECK(others.secret.empty());
  CHECK_FALSE(laptop.agent.answer(laptop.request("open", "header", "AAAA"), 1ms).text);
}

TEST_CASE("a public file says name, recipient and key, and minisign's own says its key") {
  const auto key = crypto::MinisignSecretKey::generate();
  const PublicHalf half{"jo@mba", age_identity_of(key).recipient(), key.public_key()};
  const auto read = parse_public_file(public_file_text(half));
  REQUIRE(read);
  CHECK(read->name == "jo");
  CHECK(read->recipient == half.recipient);
  CHECK(read->key.to_line() == half.key.to_line());
  CHECK(crypto::MinisignPublicKey::parse(public_file_text(half)));
  const auto plain = parse_public_file(half.key.to_file());
  REQUIRE(plain);
  CHECK_FALSE(plain->recipient);
  CHECK_FALSE(parse_public_file("untrusted comment: chillbox jo age1nonsense\nRW"));
}

TEST_CASE("the age identity of a key is always the same, and is not the key") {
  const auto key = crypto::MinisignSecretKey::generate();
  CHECK(age_identity_of(key).recipient() == age_identity_of(key).recipient());
  CHECK(age_identity_of(key).recipient() !=
      age_identity_of(crypto::MinisignSecretKey::generate()).recipient());
}
