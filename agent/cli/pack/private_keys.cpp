#include "cli/pack/private_keys.hpp"

#include <fnmatch.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace chillbox::cli {
namespace {

constexpr size_t k_text = 1024; // bytes that show whether a file is text

bool is_base64(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' ||
      c == '/' || c == '=';
}

bool is_key_char(char c) {
  return is_base64(c) || c == '_' || c == '-' || c == '.';
}

size_t run_length(std::string_view text, bool (*of)(char)) {
  return static_cast<size_t>(std::ranges::find_if_not(text, of) - text.begin());
}

// glibc's and musl's memmem are several times faster than std::string_view::find.
size_t find_text(std::string_view text, std::string_view part, size_t from) {
  const void* found = ::memmem(text.data() + from, text.size() - from, part.data(), part.size());
  return found == nullptr ? std::string_view::npos
                          : static_cast<size_t>(static_cast<const char*>(found) - text.data());
}

void skip(std::string_view& text, std::string_view any_of) {
  text.remove_prefix(std::min(text.find_first_not_of(any_of), text.size()));
}

// A text, and how many characters of a key must follow it, after what may stand between the two.
// That number keeps out code and pages which only speak of such keys.
struct Mark {
  std::string_view text, what;
  size_t key;
  std::string_view between = "";
};
constexpr std::array k_marks{
    Mark{"AGE-SECRET-KEY-", "an age identity", 50},
    Mark{"whsec_", "a webhook key", 32},
    Mark{"PuTTY-User-Key-File-", "a private key (PuTTY)", 1},
    Mark{"RWRTY0Iy", "a secret key (minisign)", 100}, // base64 of EdScB2: with a passphrase
    Mark{"RWQAAEIy", "a secret key (minisign)", 100}, // of Ed, two zeros, B2: without
    Mark{"RWRCS", "a secret key (signify)", 100},     // of EdBK
    Mark{"aws_secret_access_key", "AWS credentials", 40, " \t=:\"'"},
    Mark{"client-key-data", "a kubeconfig with a key", 40, " \t:\"'"},
    Mark{"_authToken", "a token (npm)", 20, " \t=:\"'"},
    Mark{"ghp_", "a token (GitHub)", 36},
    Mark{"github_pat_", "a token (GitHub)", 60},
};

bool has_mark(std::string_view head, const Mark& mark) {
  for (size_t at = find_text(head, mark.text, 0); at != std::string_view::npos;
      at = find_text(head, mark.text, at + 1)) {
    auto rest = head.substr(at + mark.text.size());
    skip(rest, mark.between);
    if (run_length(rest, is_key_char) >= mark.key)
      return true;
  }
  return false;
}

// Whether the base64 of a key follows, after line ends and quotes, as they are in a string of JSON
// or code, and header lines ("Proc-Type: 4,ENCRYPTED").
bool key_follows(std::string_view body) {
  constexpr size_t k_headers = 8, k_key = 40;
  for (size_t i = 0; i < k_headers; ++i) {
    skip(body, "-"); // of the line BEGIN
    while (body.starts_with("\\n") || body.starts_with("\\r") ||
        (!body.empty() && std::string_view(" \t\r\n\"'`+,\\").find(body[0]) != body.npos))
      body.remove_prefix(body[0] == '\\' && body.size() > 1 && body[1] != '\n' ? 2 : 1);
    if (run_length(body, is_base64) >= k_key)
      return true;
    if (body.substr(run_length(body, is_key_char)).substr(0, 2) != ": ")
      return false;
    body.remove_prefix(std::min({body.find('\n'), body.find("\\n"), body.size()}));
  }
  return false;
}

// PEM, OpenSSH, ssh.com's and OpenPGP's armor.
bool has_armored_key(std::string_view head) {
  constexpr size_t k_label = 40; // characters between BEGIN and the dashes
  for (size_t at = find_text(head, "- BEGIN ", 0), dashes = find_text(head, "-----BEGIN ", 0);
      std::min(at, dashes) != std::string_view::npos;) {
    size_t& next = at < dashes ? at : dashes;
    const std::string_view begin = at < dashes ? "- BEGIN " : "-----BEGIN ";
    const auto rest = head.substr(next + begin.size());
    const size_t end = rest.substr(0, k_label).find("--"), key = rest.find("PRIVATE KEY");
    if (end != std::string_view::npos && key < end && key_follows(rest.substr(end)))
      return true;
    next = find_text(head, begin, next + 1);
  }
  return false;
}

// The content of a DER value and what follows it.
struct Der {
  char tag = 0;
  std::string_view value, rest;
};

bool read_der(std::string_view text, Der& out) {
  if (text.size() < 2)
    return false;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  size_t length = byte(1), begin = 2;
  if (length > 0x84)
    return false;
  if (length == 0x80) { // BER: up to an end mark
    out = {text[0], text.substr(2), ""};
    return true;
  }
  if (length >= 0x80) {
    begin += length - 0x80;
    if (text.size() < begin)
      return false;
    length = 0;
    for (size_t i = 2; i < begin; ++i)
      length = length << 8 | byte(i);
  }
  out = {text[0], text.substr(begin, length), text.substr(std::min(text.size(), begin + length))};
  return begin + length > begin;
}

// PKCS#1 and DSA (0, integer), PKCS#8 (0 or 1, sequence), SEC 1 (1, octets), PKCS#12 (3, sequence),
// and an encrypted PKCS#8, which begins with the name of a cipher of PKCS#5 or PKCS#12.
std::string_view der_key(std::string_view head, size_t size) {
  Der all, first, next;
  if (!head.starts_with('\x30') || !read_der(head, all) || !read_der(all.value, first))
    return "";
  if (size <= head.size() && all.value.data() + all.value.size() != head.data() + size)
    return "";
  if (first.tag == '\x30' &&
      (first.value.starts_with("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05") ||
          first.value.starts_with("\x06\x0a\x2a\x86\x48\x86\xf7\x0d\x01\x0c")))
    return "a private key (DER)";
  if (first.tag != '\x02' || first.value.size() != 1 || !read_der(first.rest, next))
    return "";
  const char version = first.value[0];
  if (version == 3 && next.tag == '\x30')
    return "a key store (PKCS #12)";
  if ((version == 0 && (next.tag == '\x02' || next.tag == '\x30')) ||
      (version == 1 && (next.tag == '\x30' || next.tag == '\x04')))
    return "a private key (DER)";
  return "";
}

// Java's stores begin with a magic number, a version, a count and the kind of the first entry: 2 is
// a certificate.
bool is_java_key_store(std::string_view head) {
  return head.size() > 16 &&
      (head.starts_with("\xfe\xed\xfe\xed") || head.starts_with("\xce\xce\xce\xce")) &&
      (head[15] == 1 || head[15] == 3);
}

// An OpenPGP packet of a secret key (tag 5) of version 4 with an algorithm that exists (RFC 9580).
bool is_openpgp_secret(std::string_view head) {
  if (head.size() < 16)
    return false;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(head[i]); };
  size_t at = 0;
  if (byte(0) >= 0x94 && byte(0) <= 0x96)
    at = byte(0) == 0x94 ? 2 : byte(0) == 0x95 ? 3 : 5;
  else if (byte(0) == 0xc5)
    at = byte(1) < 192 ? 2 : byte(1) < 224 ? 3 : 6;
  return at != 0 && (byte(at) == 4 || byte(at) == 6) &&
      std::string_view("\x01\x02\x03\x10\x11\x12\x13\x16\x19\x1a\x1b\x1c").find(head[at + 5]) !=
      std::string_view::npos;
}

} // namespace

std::string_view private_key_in(std::string_view head, size_t size) {
  if (const auto der = der_key(head, size); !der.empty())
    return der;
  if (is_java_key_store(head))
    return "a key store (Java)";
  if (is_openpgp_secret(head))
    return "a secret key (OpenPGP)";
  if (head.substr(0, k_text).find('\0') != std::string_view::npos)
    return ""; // pictures and programs
  if (has_armored_key(head))
    return "a private key (PEM)";
  for (const Mark& mark : k_marks)
    if (has_mark(head, mark))
      return mark.what;
  return "";
}

std::string_view likely_private(std::string_view name, std::string_view head) {
  using namespace std::string_view_literals;
  if (head.starts_with("SQLite format 3\0"sv))
    return "a database (SQLite)";
  for (const char* pattern : {"secret.*", "secrets.*", "*.secret", "*.secrets", "credentials",
           "credentials.*", "*.env", "*.kdbx", "passwd", "password*.txt"})
    if (::fnmatch(pattern, std::string(name).c_str(), FNM_CASEFOLD) == 0)
      return "secrets, by its name";
  return "";
}

} // namespace chillbox::cli
