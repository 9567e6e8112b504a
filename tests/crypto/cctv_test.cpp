// The C2SP CCTV age vectors: CCTV_AGE=$(tests/crypto/fetch-vectors) build/test-crypto. Each file
// names what must become of it.
#include "report.hpp"
#include "sample.hpp"

#include "crypto/hash.hpp"

#include <zlib.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

struct Vector {
  std::string name;
  std::multimap<std::string, std::string>
      keys; // expect, payload, identity, passphrase, armored, compressed, ...
  Bytes file;

  std::string key(const std::string& which) const {
    const auto found = keys.find(which);
    return found == keys.end() ? "" : found->second;
  }
  // 19 of the vectors have an ML-KEM identity, which this program does not know.
  bool post_quantum() const {
    return std::any_of(keys.begin(), keys.end(),
        [](const auto& k) { return k.second.starts_with("AGE-SECRET-KEY-PQ-"); });
  }
};

Bytes inflated(const Bytes& in) {
  Bytes out(32 << 20);
  uLongf size = out.size();
  REQUIRE(uncompress(out.data(), &size, in.data(), static_cast<uLong>(in.size())) == Z_OK);
  out.resize(size);
  return out;
}

Vector load(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  Vector out;
  out.name = path.filename();
  for (std::string line; std::getline(in, line) && !line.empty();) {
    const size_t colon = line.find(": ");
    REQUIRE(colon != std::string::npos);
    out.keys.emplace(line.substr(0, colon), line.substr(colon + 2));
  }
  out.file = Bytes(std::istreambuf_iterator<char>(in), {});
  if (out.key("compressed") == "zlib")
    out.file = inflated(out.file);
  return out;
}

// What happened, in the words of the vectors.
struct Ended {
  std::string how;
  std::string payload; // SHA-256 of all that was released, when it came so far
};

std::string header_class(Code code) {
  switch (code) {
  case Code::invalid:
  case Code::too_large: return "header failure";
  case Code::not_found:
  case Code::denied: return "no match";
  case Code::corrupt: return "HMAC failure";
  default: return cat("unexpected code ", code_name(code));
  }
}

// The file key under the first of the vector's keys that fits; an error other than "no match" ends
// the search, as in `age`.
Result<SecretBytes> unwrap(const Vector& vector, const AgeHeader& header) {
  std::vector<AgeIdentity> identities;
  for (auto [k, end] = vector.keys.equal_range("identity"); k != end; ++k)
    if (auto identity = AgeIdentity::parse(k->second))
      identities.push_back(std::move(*identity));
    else
      REQUIRE(k->second.starts_with("AGE-SECRET-KEY-PQ-"));
  if (identities.empty() && vector.key("passphrase").empty())
    identities.push_back(AgeIdentity::generate());
  Result<SecretBytes> last = fail(Code::not_found, "no key");
  const auto decided = [&] { return last || header_class(last.error().code) != "no match"; };
  for (auto [k, end] = vector.keys.equal_range("passphrase"); k != end && !decided(); ++k)
    last = scrypt_file_key(header, secret(k->second));
  for (size_t i = 0; i < identities.size() && !decided(); ++i)
    last = identities[i].file_key(header);
  return last;
}

Ended run(const Vector& vector) {
  Bytes file = vector.file;
  if (vector.key("armored") == "yes") {
    auto binary = unarmor(file);
    if (!binary)
      return {"armor failure", ""};
    // Without a line that looks like armor it was not taken for armor. It must not pass for a
    // binary file either.
    if (*binary == file)
      return {parse_age_header(file) ? "taken for binary" : "armor failure", ""};
    file = std::move(*binary);
  }
  const auto header = parse_age_header(file);
  if (!header)
    return {header_class(header.error().code), ""};
  const auto file_key = unwrap(vector, *header);
  if (!file_key)
    return {header_class(file_key.error().code), ""};
  if (!header_mac_ok(*header, *file_key))
    return {"file key came out, but its MAC is wrong", ""};
  const Released released =
      release(PayloadReader(*file_key, reading(ByteView(file).subspan(header->size))));
  const std::string payload = sha256_of(released.plain).str();
  if (released.end)
    return {"success", payload};
  return {released.end.error().code == Code::corrupt ? "payload failure"
                                                     : header_class(released.end.error().code),
      payload};
}

} // namespace

TEST_CASE("[fault-44] every CCTV age vector ends as it says, and releases exactly the payload that it says") {
  const char* const dir = std::getenv("CCTV_AGE");
  if (dir == nullptr || *dir == '\0') {
    WARN("SKIPPED: CCTV_AGE is not set: CCTV_AGE=$(tests/crypto/fetch-vectors) build/test-crypto");
    return;
  }
  std::map<std::string, int> count;
  for (const auto& entry : std::filesystem::directory_iterator(dir)) {
    const Vector vector = load(entry.path());
    INFO(vector.name << ": " << vector.key("comment"));
    const Ended ended = run(vector);
    ++count["all"];
    if (vector.post_quantum()) {
      ++count["post-quantum"];
      const bool not_for_us = ended.how == "no match" || ended.how == "header failure";
      CHECK(not_for_us);
      test::report(not_for_us, "skipped", vector.name);
      continue;
    }
    ++count[vector.key("expect")];
    CHECK(ended.how == vector.key("expect"));
    const bool released = ended.how == "success" || ended.how == "payload failure";
    const bool payload_fits = !released || ended.payload == vector.key("payload");
    CHECK(payload_fits);
    test::report(ended.how == vector.key("expect") && payload_fits,
        ended.how == "success" ? "passed" : "refused", vector.name);
  }
  CHECK(count["all"] == 143);
  CHECK(count["post-quantum"] == 19);
  CHECK(count["success"] == 21);
  CHECK(count["payload failure"] == 19);
  CHECK(count["header failure"] == 53);
  CHECK(count["armor failure"] == 22);
  CHECK(count["no match"] == 8);
  CHECK(count["HMAC failure"] == 1);
}
