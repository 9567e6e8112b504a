#include "crypto/age_stream.hpp"
#include "sample.hpp"

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

constexpr size_t k_sealed = k_age_chunk + k_age_tag;

// A file of our own in parts: the key, and what follows the header (nonce and chunks).
struct Payload {
  explicit Payload(ByteView plain) {
    const AgeIdentity identity = AgeIdentity::generate();
    const Bytes file = encrypted(plain, {identity.recipient()});
    const AgeHeader header = parse_age_header(file).value();
    key = identity.file_key(header).value();
    sealed.assign(file.begin() + static_cast<ptrdiff_t>(header.size), file.end());
  }
  Released read(size_t step = SIZE_MAX) const {
    return release(PayloadReader(key, reading(sealed, step)));
  }

  SecretBytes key;
  Bytes sealed;
};

bool damaged(const Released& released) {
  return failed_with(Code::corrupt, released.end);
}

} // namespace

TEST_CASE("plaintexts around every chunk boundary come back, however the bytes arrive") {
  for (const size_t size : {size_t{0}, size_t{1}, k_age_chunk - 1, k_age_chunk, k_age_chunk + 1,
           2 * k_age_chunk - 1, 2 * k_age_chunk, 2 * k_age_chunk + 1, 5 * k_age_chunk + 7}) {
    const Bytes plain = pattern(size);
    const Payload payload(plain);
    const size_t chunks = size == 0 ? 1 : (size + k_age_chunk - 1) / k_age_chunk;
    CHECK(payload.sealed.size() == k_age_nonce + size + chunks * k_age_tag);
    for (const size_t step : {SIZE_MAX, size_t{4096}, size_t{997}}) {
      const Released released = payload.read(step);
      CHECK(outcome(released.end) == "ok");
      CHECK(released.plain == plain);
    }
  }
}

TEST_CASE("the writer makes the same chunks from any pieces") {
  const AgeIdentity identity = AgeIdentity::generate();
  const Bytes plain = pattern(3 * k_age_chunk + 5);
  for (const size_t piece : {size_t{1000}, k_age_chunk - 1, k_age_chunk, k_age_chunk + 1,
           2 * k_age_chunk, plain.size()}) {
    Bytes file;
    AgeWriter writer = AgeWriter::to_recipients({identity.recipient()}, appending(file)).value();
    for (size_t at = 0; at < plain.size(); at += piece) {
      REQUIRE(writer.write(ByteView(plain).subspan(at, std::min(piece, plain.size() - at))));
      REQUIRE(writer.write({}));
    }
    REQUIRE(writer.finish());
    CHECK(decrypt_with_identity(file, identity).value().text() == text_of(plain));
  }
}

TEST_CASE(
    "[fault-45] a payload cut at any chunk boundary, or near one, is found; only whole chunks before it came out") {
  const Bytes plain = pattern(3 * k_age_chunk);
  const Payload whole(plain);
  for (size_t chunks = 0; chunks <= 3; ++chunks)
    for (const int off : {-17, -16, -1, 0, 1, 16, 17}) {
      const auto size = static_cast<ptrdiff_t>(k_age_nonce + chunks * k_sealed) + off;
      if (size < 0 || size >= static_cast<ptrdiff_t>(whole.sealed.size()))
        continue;
      Payload cut({});
      cut.key = whole.key.copy();
      cut.sealed.assign(whole.sealed.begin(), whole.sealed.begin() + size);
      const Released released = cut.read();
      if (size < static_cast<ptrdiff_t>(k_age_nonce))
        CHECK(
            failed_with(Code::invalid, released.end)); // not even the nonce: as a header cut short
      else
        CHECK(damaged(released));
      CHECK(released.plain.size() % k_age_chunk == 0);
      CHECK(std::equal(released.plain.begin(), released.plain.end(), plain.begin()));
    }
}

TEST_CASE("chunks swapped, repeated, left out or changed are found at the first one that is wrong") {
  const Payload whole(pattern(3 * k_age_chunk + 9));
  const auto chunk = [&](size_t i) {
    return whole.sealed.begin() + static_cast<ptrdiff_t>(k_age_nonce + i * k_sealed);
  };
  Payload swapped({});
  swapped.key = whole.key.copy();
  swapped.sealed = whole.sealed;
  std::copy(chunk(1), chunk(2),
      swapped.sealed.begin() + static_cast<ptrdiff_t>(k_age_nonce + 2 * k_sealed));
  std::copy(
      chunk(2), chunk(3), swapped.sealed.begin() + static_cast<ptrdiff_t>(k_age_nonce + k_sealed));
  CHECK(damaged(swapped.read()));
  CHECK(swapped.read().plain.size() == k_age_chunk);

  Payload left_out({});
  left_out.key = whole.key.copy();
  left_out.sealed = whole.sealed;
  left_out.sealed.erase(left_out.sealed.begin() + static_cast<ptrdiff_t>(k_age_nonce),
      left_out.sealed.begin() + static_cast<ptrdiff_t>(k_age_nonce + k_sealed));
  CHECK(damaged(left_out.read()));
  CHECK(left_out.read().plain.empty());

  Payload changed({});
  changed.key = whole.key.copy();
  changed.sealed = whole.sealed;
  changed.sealed[k_age_nonce + 2 * k_sealed + 100] ^= 1;
  const Released released = changed.read();
  CHECK(damaged(released));
  CHECK(released.plain.size() == 2 * k_age_chunk);
  CHECK(contains(outcome(released.end), "chunk 2"));
}

TEST_CASE("plaintext that did not verify is wiped before anybody can look at it") {
  const SecretBytes key(16);
  const Bytes plain = pattern(100);
  Bytes sealed(plain.size() + k_age_tag);
  ChunkCipher(Direction::encrypt, key, Bytes(k_age_nonce)).encrypt(plain, true, sealed.data());
  Bytes out(plain.size(), 0xff);
  ChunkCipher reader(Direction::decrypt, key, Bytes(k_age_nonce));
  CHECK_FALSE(reader.decrypt(sealed, false, out.data()));
  CHECK(out == Bytes(plain.size(), 0));
  CHECK(reader.decrypt(sealed, true, out.data()));
  CHECK(out == plain);
}

TEST_CASE("a chunk decrypted into a buffer of the caller's is the same, and what did not verify is wiped there") {
  const Bytes plain = pattern(2 * k_age_chunk + 9);
  Payload payload(plain);
  Bytes out, buffer(k_age_chunk + 1, 0xff);
  PayloadReader reader(payload.key, reading(payload.sealed, SIZE_MAX));
  CHECK(failed_with(Code::invalid, reader.next_into(std::span(buffer).first(k_age_chunk - 1))));
  for (size_t n = reader.next_into(buffer).value(); n > 0; n = reader.next_into(buffer).value())
    out.insert(out.end(), buffer.begin(), buffer.begin() + static_cast<ptrdiff_t>(n));
  CHECK(out == plain);
  CHECK(reader.next_into(buffer).value() == 0);
  CHECK(buffer.back() == 0xff);

  payload.sealed[k_age_nonce + k_sealed + 5] ^= 1;
  PayloadReader spoilt(payload.key, reading(payload.sealed, SIZE_MAX));
  CHECK(spoilt.next_into(buffer).value() == k_age_chunk);
  CHECK(failed_with(Code::corrupt, spoilt.next_into(buffer)));
  CHECK(Bytes(buffer.begin(), buffer.end() - 1) == Bytes(k_age_chunk, 0));
}

TEST_CASE("data after the last chunk is an error, also after a full one and after an empty payload") {
  for (const size_t size : {size_t{0}, size_t{5}, k_age_chunk})
    for (const size_t more : {size_t{1}, size_t{16}, k_sealed}) {
      Payload payload(pattern(size));
      payload.sealed.resize(payload.sealed.size() + more, 0);
      CHECK(damaged(payload.read()));
    }
}

TEST_CASE("a failed reader stays failed, an ended one stays at its end") {
  const Payload good(pattern(5));
  PayloadReader reader(good.key, reading(good.sealed));
  CHECK(reader.next().value().size() == 5);
  CHECK(reader.next().value().empty());
  CHECK(reader.next().value().empty());

  Payload bad(pattern(5));
  bad.sealed.back() ^= 1;
  PayloadReader broken(bad.key, reading(bad.sealed));
  CHECK(failed_with(Code::corrupt, broken.next()));
  CHECK(failed_with(Code::corrupt, broken.next()));
}

TEST_CASE("an error of the source or of the sink comes through as it is, and the writer stops there") {
  const SecretBytes key(16);
  PayloadReader reader(
      key, [](std::span<uint8_t>) -> Result<size_t> { return fail(Code::failure, "disk gone"); });
  CHECK(outcome(reader.next()) == "failure: disk gone");
  PayloadReader no_key(SecretBytes(), reading({}));
  CHECK(failed_with(Code::invalid, no_key.next()));

  int calls = 0;
  const auto full = [&calls](ByteView) -> Result<void> {
    if (++calls > 2) // header and nonce fit
      return fail(Code::no_space, "no space left");
    return {};
  };
  AgeWriter writer = AgeWriter::to_recipients({AgeIdentity::generate().recipient()}, full).value();
  CHECK(outcome(writer.write(pattern(k_age_chunk))) == "ok");
  CHECK(outcome(writer.write(pattern(1))) == "no_space: no space left");
  CHECK(outcome(writer.write(pattern(1))) == "no_space: no space left");
  CHECK(outcome(writer.finish()) == "no_space: no space left");
  CHECK(calls == 3);
}

TEST_CASE("an abandoned writer leaves a file that no reader accepts") {
  const AgeIdentity identity = AgeIdentity::generate();
  Bytes file;
  {
    AgeWriter writer = AgeWriter::to_recipients({identity.recipient()}, appending(file)).value();
    REQUIRE(writer.write(pattern(k_age_chunk + 10)));
  }
  CHECK(failed_with(Code::corrupt, decrypt_with_identity(file, identity)));
  AgeWriter writer = AgeWriter::to_recipients({identity.recipient()}, appending(file)).value();
  REQUIRE(writer.finish());
  CHECK_FALSE(writer.write(pattern(1)));
  CHECK_FALSE(writer.finish());
}

TEST_CASE("two files of the same plaintext share no header and no payload bytes") {
  const AgeIdentity identity = AgeIdentity::generate();
  const Bytes a = encrypted(pattern(64), {identity.recipient()});
  const Bytes b = encrypted(pattern(64), {identity.recipient()});
  const size_t start = parse_age_header(a).value().size;
  CHECK(parse_age_header(a).value().mac != parse_age_header(b).value().mac);
  CHECK_FALSE(std::equal(a.begin() + static_cast<ptrdiff_t>(start), a.end(),
      b.begin() + static_cast<ptrdiff_t>(start)));
}
