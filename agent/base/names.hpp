// Names that were checked once and are safe wherever they go: in a path, an NGINX text, a service
// name, a log line.
#pragma once

#include "base/error.hpp"

#include <array>
#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

namespace chillbox {

// A site's slug: ^[a-z][a-z0-9-]{0,30}$ and not "chillbox...", which is ours. Whose user or
// directory it may be besides, the host knows (rollout/assets.hpp; faults 72).
class SiteName {
public:
  static Result<SiteName> parse(std::string_view text);
  const std::string& str() const { return m_text; }
  auto operator<=>(const SiteName&) const = default;

private:
  explicit SiteName(std::string_view text) : m_text(text) {}
  std::string m_text;
};

// A service or worker: ^[A-Za-z][A-Za-z0-9_-]{0,30}$.
class ServiceName {
public:
  static Result<ServiceName> parse(std::string_view text);
  const std::string& str() const { return m_text; }
  auto operator<=>(const ServiceName&) const = default;

private:
  explicit ServiceName(std::string_view text) : m_text(text) {}
  std::string m_text;
};

// Semantic version 2.0.0, at most 64 characters: safe as a path component.
class Version {
public:
  static Result<Version> parse(std::string_view text);
  const std::string& str() const { return m_text; }
  bool operator==(const Version&) const = default;

private:
  explicit Version(std::string_view text) : m_text(text) {}
  std::string m_text;
};

// One of the two places where a service's copies run. none: a release that was never started.
enum class Slot { none, a, b };
std::string_view letter(Slot slot);     // "a", "b"; none: ""
Slot parse_slot(std::string_view text); // anything else: none
Slot other_slot(Slot slot);             // of a and b; none has a

// SHA-256 of the encrypted artifact, 64 lower-case hex digits.
class Digest {
public:
  static Result<Digest> parse(std::string_view hex);
  static Digest of(const std::array<uint8_t, 32>& bytes);
  const std::string& str() const { return m_text; }
  auto operator<=>(const Digest&) const = default;

private:
  explicit Digest(std::string text) : m_text(std::move(text)) {}
  std::string m_text;
};

// NAME of a trusted key or a webhook sender (a file name): ^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$.
Result<std::string> parse_key_name(std::string_view text);

} // namespace chillbox
