// Writing: the header at once, then chunks of 64 KiB. A chunk goes out only when it is known
// whether it is the last one.
#include "crypto/age_stream.hpp"
#include "crypto/age_wrap.hpp"

#include "base/text.hpp"

#include <sodium.h>

#include <algorithm>
#include <optional>

namespace chillbox::crypto {
namespace {

SecretBytes new_file_key() {
  SecretBytes key(k_file_key);
  randombytes_buf(key.data(), key.size());
  return key;
}

std::array<uint8_t, k_age_nonce> new_nonce() {
  std::array<uint8_t, k_age_nonce> nonce{};
  randombytes_buf(nonce.data(), nonce.size());
  return nonce;
}

} // namespace

struct AgeWriter::State {
  State(const SecretBytes& file_key, WriteBytes to)
      : nonce(new_nonce()), cipher(Direction::encrypt, file_key, nonce), sink(std::move(to)) {}

  std::array<uint8_t, k_age_nonce> nonce;
  ChunkCipher cipher;
  WriteBytes sink;
  SecretBytes plain{k_age_chunk};
  size_t held = 0; // bytes of `plain` in use
  Bytes encrypted = Bytes(k_age_chunk + k_age_tag);
  bool finished = false;
  std::optional<Error> failed; // a sink that failed once gets nothing more: its file has a hole

  Result<void> emit(ByteView bytes) {
    if (auto done = sink(bytes); !done) {
      failed = done.error();
      return done;
    }
    return {};
  }
  Result<void> emit_chunk(ByteView chunk, bool last) {
    cipher.encrypt(chunk, last, encrypted.data());
    cipher.advance();
    return emit(ByteView(encrypted).first(chunk.size() + k_age_tag));
  }
  Result<void> usable() const {
    if (failed)
      return std::unexpected(*failed);
    if (finished)
      return fail(Code::failure, "age file is already finished");
    return {};
  }
  Result<void> begin(const std::vector<AgeStanza>& stanzas, const SecretBytes& file_key) {
    TRY(emit(bytes_of(write_age_header(stanzas, file_key))));
    return emit(nonce);
  }
};

AgeWriter::AgeWriter(std::unique_ptr<State> state) : m_state(std::move(state)) {}
AgeWriter::AgeWriter(AgeWriter&&) noexcept = default;
AgeWriter::~AgeWriter() = default;

Result<AgeWriter> AgeWriter::to_recipients(
    const std::vector<std::string>& recipients, WriteBytes sink) {
  if (recipients.empty())
    return fail(Code::invalid, "no recipient to encrypt to");
  const SecretBytes file_key = new_file_key();
  std::vector<AgeStanza> stanzas;
  for (const std::string& recipient : recipients) {
    const auto point = TRY(parse_age_recipient(recipient));
    stanzas.push_back(TRY_IN(cat("recipient '", recipient, "'"), x25519_stanza(point, file_key)));
  }
  auto state = std::make_unique<State>(file_key, std::move(sink));
  TRY(state->begin(stanzas, file_key));
  return AgeWriter(std::move(state));
}

Result<AgeWriter> AgeWriter::to_passphrase(
    const SecretBytes& passphrase, int log2_work_factor, WriteBytes sink) {
  const SecretBytes file_key = new_file_key();
  std::vector<AgeStanza> stanzas;
  stanzas.push_back(TRY(scrypt_stanza(passphrase, log2_work_factor, file_key)));
  auto state = std::make_unique<State>(file_key, std::move(sink));
  TRY(state->begin(stanzas, file_key));
  return AgeWriter(std::move(state));
}

Result<void> AgeWriter::write(ByteView plaintext) {
  State& s = *m_state;
  TRY(s.usable());
  while (!plaintext.empty()) {
    if (s.held == k_age_chunk) { // more comes, so this was not the last one
      s.held = 0;
      TRY(s.emit_chunk(s.plain.view(), false));
    }
    if (s.held == 0 && plaintext.size() > k_age_chunk) { // straight from the caller's memory
      TRY(s.emit_chunk(plaintext.first(k_age_chunk), false));
      plaintext = plaintext.subspan(k_age_chunk);
      continue;
    }
    const size_t n = std::min(plaintext.size(), k_age_chunk - s.held);
    std::copy_n(plaintext.data(), n, s.plain.data() + s.held);
    s.held += n;
    plaintext = plaintext.subspan(n);
  }
  return {};
}

Result<void> AgeWriter::finish() {
  State& s = *m_state;
  TRY(s.usable());
  s.finished = true;
  return s.emit_chunk(s.plain.view().first(s.held), true);
}

} // namespace chillbox::crypto
