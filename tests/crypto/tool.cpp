// Drives agent/crypto from the shell, for bats/formats.bats: standard input to standard output,
// exit codes as chillboxctl has them.
#include "crypto/age.hpp"
#include "crypto/hash.hpp"
#include "crypto/minisign.hpp"
#include "crypto/webhook.hpp"

#include "base/text.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>

#include <unistd.h>

using namespace chillbox;
using namespace chillbox::crypto;

namespace {

using Args = std::vector<std::string>;

Result<void> write_all(ByteView bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0)
      return fail_errno("write", errno);
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
  return {};
}

Result<size_t> read_some(std::span<uint8_t> into) {
  const ssize_t n = ::read(STDIN_FILENO, into.data(), into.size());
  if (n < 0)
    return fail_errno("read", errno);
  return static_cast<size_t>(n);
}

Result<size_t> read_full(std::span<uint8_t> into) {
  size_t have = 0;
  while (have < into.size()) {
    const size_t n = TRY(read_some(into.subspan(have)));
    if (n == 0)
      break;
    have += n;
  }
  return have;
}

Result<std::string> file_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in)
    return fail(Code::not_found, cat("cannot read ", path));
  return std::string(std::istreambuf_iterator<char>(in), {});
}

// A passphrase as the first line of a file; "-" is none.
Result<SecretBytes> passphrase(const std::string& path) {
  if (path == "-")
    return SecretBytes();
  return SecretBytes(bytes_of(trim(TRY(file_text(path)))));
}

Result<void> copy_in(AgeWriter& writer) {
  Bytes buffer(1 << 20);
  for (;;) {
    const size_t n = TRY(read_some(buffer));
    if (n == 0)
      return writer.finish();
    TRY(writer.write(ByteView(buffer).first(n)));
  }
}

struct Input {
  AgeHeader header;
  ReadBytes payload;
};

// Of standard input, armored or not.
Result<Input> age_input() {
  const ReadBytes source = unarmored(read_some);
  Bytes start(k_max_age_header);
  size_t have = 0;
  while (have < start.size()) {
    const size_t n = TRY(source(std::span(start).subspan(have)));
    if (n == 0)
      break;
    have += n;
  }
  start.resize(have);
  AgeHeader header = TRY(parse_age_header(start));
  return Input{
      header, [source, start, at = header.size](std::span<uint8_t> into) mutable -> Result<size_t> {
        if (at == start.size())
          return source(into);
        const size_t n = std::min(into.size(), start.size() - at);
        std::copy_n(start.begin() + static_cast<ptrdiff_t>(at), n, into.begin());
        at += n;
        return n;
      }};
}

// unwrap: the file key of this header.
template <class Unwrap> Result<void> decrypt(Unwrap unwrap) {
  const Input input = TRY(age_input());
  PayloadReader reader(TRY(unwrap(input.header)), input.payload);
  for (;;) {
    const ByteView plain = TRY(reader.next());
    if (plain.empty())
      return {};
    TRY(write_all(plain));
  }
}

Result<std::array<uint8_t, 64>> hash_of_input() {
  Blake2b512 hash;
  Bytes buffer(1 << 20);
  for (;;) {
    const size_t n = TRY(read_some(buffer));
    if (n == 0)
      return hash.finish();
    hash.update(ByteView(buffer).first(n));
  }
}

Result<void> age_keygen(const Args&) {
  const AgeIdentity identity = AgeIdentity::generate();
  TRY(write_all(bytes_of(cat("# public key: ", identity.recipient(), "\n"))));
  TRY(write_all(identity.to_text().view()));
  return write_all(bytes_of("\n"));
}

Result<void> age_recipient(const Args& args) {
  const AgeIdentity identity = TRY(parse_identity_file(TRY(file_text(args.at(0)))));
  return write_all(bytes_of(identity.recipient() + "\n"));
}

Result<void> age_encrypt(const Args& args) {
  AgeWriter writer = TRY(AgeWriter::to_recipients(args, write_all));
  return copy_in(writer);
}

Result<void> age_encrypt_passphrase(const Args& args) {
  AgeWriter writer =
      TRY(AgeWriter::to_passphrase(TRY(passphrase(args.at(0))), std::stoi(args.at(1)), write_all));
  return copy_in(writer);
}

Result<void> age_decrypt(const Args& args) {
  const AgeIdentity identity = TRY(parse_identity_file(TRY(file_text(args.at(0)))));
  return decrypt([&](const AgeHeader& header) { return identity.file_key(header); });
}

// In hex: what a test then looks for where it must not be.
Result<void> age_file_key(const Args& args) {
  const AgeIdentity identity = TRY(parse_identity_file(TRY(file_text(args.at(0)))));
  const SecretBytes key = TRY(identity.file_key(TRY(age_input()).header));
  return write_all(bytes_of(hex(key.view()) + "\n"));
}

Result<void> age_decrypt_passphrase(const Args& args) {
  const SecretBytes secret = TRY(passphrase(args.at(0)));
  return decrypt([&](const AgeHeader& header) { return scrypt_file_key(header, secret); });
}

Result<void> armor_input(const Args&) {
  ArmorWriter writer(write_all);
  Bytes buffer(10'000); // no multiple of a line
  for (;;) {
    const size_t n = TRY(read_some(buffer));
    if (n == 0)
      return writer.finish();
    TRY(writer.write(ByteView(buffer).first(n)));
  }
}

Result<void> unarmor_input(const Args&) {
  const ReadBytes source = unarmored(read_some);
  Bytes buffer(10'000);
  for (;;) {
    const size_t n = TRY(source(buffer));
    if (n == 0)
      return {};
    TRY(write_all(ByteView(buffer).first(n)));
  }
}

// PASSPHRASE-FILE|- [OPERATIONS MEMORY]: a new secret key; the public one is made from it by
// minisign_public.
Result<void> minisign_keygen(const Args& args) {
  const ScryptLimits limits =
      args.size() == 3 ? ScryptLimits{std::stoul(args[1]), std::stoul(args[2])} : ScryptLimits{};
  return write_all(
      TRY(MinisignSecretKey::generate().to_file(TRY(passphrase(args.at(0))), limits)).view());
}

Result<void> minisign_public(const Args& args) {
  const auto key =
      TRY(MinisignSecretKey::parse(TRY(file_text(args.at(0))), TRY(passphrase(args.at(1)))));
  return write_all(bytes_of(key.public_key().to_file()));
}

Result<void> minisign_sign(const Args& args) {
  const auto key =
      TRY(MinisignSecretKey::parse(TRY(file_text(args.at(0))), TRY(passphrase(args.at(1)))));
  return write_all(bytes_of(key.sign(TRY(hash_of_input()), args.at(2))));
}

Result<void> minisign_verify(const Args& args) {
  const auto key = TRY(MinisignPublicKey::parse(TRY(file_text(args.at(0)))));
  const auto signature = TRY(MinisignSignature::parse(TRY(file_text(args.at(1)))));
  return write_all(bytes_of(TRY(signature.verify(key, TRY(hash_of_input()))) + "\n"));
}

Result<void> webhook_sign(const Args& args) {
  const SecretBytes key = TRY(parse_webhook_key(args.at(0)));
  Bytes body(1 << 20);
  body.resize(TRY(read_full(body)));
  return write_all(bytes_of(sign_webhook(key, args.at(1), args.at(2), text_of(body)) + "\n"));
}

const std::map<std::string, Result<void> (*)(const Args&)> k_verbs{
    {"keygen", age_keygen},
    {"recipient", age_recipient},
    {"encrypt", age_encrypt},
    {"encrypt-passphrase", age_encrypt_passphrase},
    {"decrypt", age_decrypt},
    {"file-key", age_file_key},
    {"decrypt-passphrase", age_decrypt_passphrase},
    {"armor", armor_input},
    {"unarmor", unarmor_input},
    {"minisign-keygen", minisign_keygen},
    {"minisign-public", minisign_public},
    {"sign", minisign_sign},
    {"verify", minisign_verify},
    {"webhook-sign", webhook_sign},
};

} // namespace

int main(int argc, char** argv) {
  init_crypto();
  Args args(argv + 1, argv + argc);
  const auto verb = args.empty() ? k_verbs.end() : k_verbs.find(args[0]);
  if (verb == k_verbs.end()) {
    std::cerr << "crypto-tool: no such verb\n";
    return 2;
  }
  args.erase(args.begin());
  const auto done = verb->second(args);
  if (done)
    return 0;
  std::cerr << "crypto-tool: " << code_name(done.error().code) << ": " << done.error().message
            << "\n";
  return exit_code(done.error().code);
}
