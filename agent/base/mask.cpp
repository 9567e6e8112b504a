#include "base/mask.hpp"

#include <algorithm>
#include <cstring>

namespace chillbox {
namespace {

constexpr size_t k_part = 1024;

} // namespace

Mask::Mask(const SecretStrings& values) {
  for (std::string_view value : values)
    for (; value.size() >= k_shortest_secret; value.remove_prefix(std::min(k_part, value.size())))
      m_values.emplace_back(value.substr(0, k_part));
  std::ranges::sort(m_values);
  m_values.erase(std::unique(m_values.begin(), m_values.end()), m_values.end());
  for (uint32_t i = 0; i < m_values.size(); ++i) {
    m_starts.emplace_back(start_of(m_values[i].data()), i);
    m_begins.set(m_starts.back().first);
  }
  std::ranges::sort(m_starts, [this](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first
                              : m_values[a.second].size() > m_values[b.second].size();
  });
}

uint16_t Mask::start_of(const char* text) {
  uint32_t four;
  std::memcpy(&four, text, sizeof four);
  return static_cast<uint16_t>((four * 2654435761U) >> 16);
}

size_t Mask::match(std::string_view text) const {
  if (text.size() < k_shortest_secret)
    return 0;
  const uint16_t start = start_of(text.data());
  if (!m_begins.test(start))
    return 0;
  for (auto it =
           std::ranges::lower_bound(m_starts, start, {}, &std::pair<uint16_t, uint32_t>::first);
      it != m_starts.end() && it->first == start; ++it)
    if (text.starts_with(m_values[it->second]))
      return m_values[it->second].size();
  return 0;
}

bool Mask::may_become(std::string_view text) const {
  const auto next = std::ranges::upper_bound(m_values, text);
  return next != m_values.end() && next->starts_with(text);
}

// What is whole goes out in runs: most text holds no value, and this is all that is done to it.
void Mask::replace(std::string_view text, std::string& out) const {
  size_t begin = 0, at = 0;
  while (at + k_shortest_secret <= text.size()) {
    const size_t length = m_begins.test(start_of(text.data() + at)) ? match(text.substr(at)) : 0;
    if (length == 0) {
      ++at;
      continue;
    }
    out.append(text.substr(begin, at - begin)).append(k_masked);
    begin = at += length;
  }
  out += text.substr(begin);
}

std::string Mask::apply(std::string_view text) const {
  MaskedStream stream(*this);
  std::string out = stream.feed(text);
  return out += stream.end();
}

std::string MaskedStream::feed(std::string_view bytes) {
  if (m_mask.empty())
    return std::string(bytes);
  m_held += bytes;
  std::string out;
  out.reserve(m_held.size());
  const auto line_break = m_held.rfind('\n');
  size_t at = line_break == SecretString::npos ? 0 : line_break + 1;
  m_mask.replace(std::string_view(m_held).substr(0, at), out);
  // Of the line that has not ended: at each place a value begins, or one may, or the byte goes out.
  for (const std::string_view text = m_held; at < text.size();) {
    const auto rest = text.substr(at);
    if (rest.size() < k_part && m_mask.may_become(rest))
      break;
    const size_t length = m_mask.match(rest);
    out += length > 0 ? k_masked : rest.substr(0, 1);
    at += std::max<size_t>(length, 1);
  }
  m_held = m_held.substr(at);
  return out;
}

std::string MaskedStream::end() {
  std::string out;
  size_t at = 0;
  for (const std::string_view text = m_held; at < text.size();) {
    const auto rest = text.substr(at);
    const bool cut_off = rest.size() >= k_shortest_secret && m_mask.may_become(rest);
    const size_t length = cut_off ? rest.size() : m_mask.match(rest);
    out += length > 0 ? k_masked : rest.substr(0, 1);
    at += std::max<size_t>(length, 1);
  }
  m_held.clear();
  return out;
}

} // namespace chillbox
