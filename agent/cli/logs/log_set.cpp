#include "cli/logs/log_set.hpp"

#include <algorithm>
#include <utility>

namespace chillbox::cli {

LogSet::Chain& LogSet::chain_of(const LogSource& source) {
  for (auto& chain : m_chains)
    if (chain.source.service == source.service && chain.source.stream == source.stream)
      return chain;
  m_chains.push_back({.source = source, .files = {}, .lines = {}, .head = {}});
  return m_chains.back();
}

bool LogSet::has(const LogSource& source, const Fd& file) const {
  return std::ranges::any_of(m_chains, [&](const Chain& chain) {
    return chain.source.service == source.service && chain.source.stream == source.stream &&
        std::ranges::any_of(chain.files, [&](const LogFile& one) { return one.is(file); });
  });
}

void LogSet::add(const LogSource& source, LogFile file) {
  chain_of(source).files.push_back(std::move(file));
}

void LogSet::add(const LogSource& source, std::deque<LogText> lines) {
  chain_of(source).lines = std::move(lines);
}

bool LogSet::is_wanted(const LogText& line) const {
  const Period& period = m_wish.period;
  if (period.any() && (line.ms == 0 || line.ms < period.since_ms || line.ms > period.until_ms))
    return false;
  if (m_wish.releases && !m_wish.releases->contains(line.release))
    return false;
  return !m_wish.pattern || m_wish.pattern->matches(line.text) != m_wish.invert;
}

// Only the newest lines, if each that is there is wanted.
Result<void> LogSet::select(Chain& chain) {
  const bool all = !m_wish.period.any() && !m_wish.pattern && !m_wish.releases;
  if (!all || !m_wish.lines) {
    for (auto& file : chain.files)
      TRY(file.select(m_wish.period.since_ms, m_wish.period.until_ms));
    return {};
  }
  uint64_t left = *m_wish.lines;
  for (size_t i = chain.files.size(); i-- > 0;) {
    const uint64_t there = TRY(chain.files[i].seek_last(left));
    left -= std::min(there, left);
    if (left == 0) {
      chain.at = i;
      break;
    }
  }
  return {};
}

Result<std::optional<LogText>> LogSet::next(Chain& chain) {
  if (!chain.lines.empty()) {
    auto line = std::move(chain.lines.front());
    chain.lines.pop_front();
    return line;
  }
  for (; chain.at < chain.files.size(); ++chain.at) {
    const bool newest = chain.at + 1 == chain.files.size();
    auto line = TRY(chain.files[chain.at].next(!newest));
    if (line || newest)
      return line;
  }
  return std::optional<LogText>();
}

Result<void> LogSet::advance(Chain& chain) {
  do {
    chain.head = TRY(next(chain));
  } while (chain.head && !is_wanted(*chain.head));
  if (chain.head)
    chain.key = std::max(chain.key, chain.head->ms);
  return {};
}

Result<void> LogSet::read(const LogSink& sink) {
  std::deque<std::pair<const LogSource*, LogText>> newest;
  for (auto& chain : m_chains) {
    TRY(select(chain));
    TRY(advance(chain));
  }
  for (;;) {
    Chain* first = nullptr;
    for (auto& chain : m_chains)
      if (chain.head && (first == nullptr || chain.key < first->key))
        first = &chain;
    if (first == nullptr)
      break;
    if (!m_wish.lines) {
      sink(first->source, *first->head);
    } else if (*m_wish.lines > 0) {
      newest.emplace_back(&first->source, std::move(*first->head));
      if (newest.size() > *m_wish.lines)
        newest.pop_front();
    }
    TRY(advance(*first));
  }
  for (const auto& [source, line] : newest)
    sink(*source, line);
  return {};
}

// The last file but one may have got a line after the newest was begun, from a writer that had not
// noticed yet.
Result<void> LogSet::read_on(const LogSink& sink) {
  for (auto& chain : m_chains) {
    while (chain.files.size() > 2)
      if (const auto line = TRY(chain.files.front().next(true)); !line)
        chain.files.pop_front();
      else if (is_wanted(*line))
        sink(chain.source, *line);
    chain.at = 0;
    for (auto line = TRY(next(chain)); line; line = TRY(next(chain)))
      if (is_wanted(*line))
        sink(chain.source, *line);
  }
  return {};
}

std::vector<std::pair<LogSource, int64_t>> LogSet::partly_known() const {
  std::vector<std::pair<LogSource, int64_t>> found;
  for (const auto& chain : m_chains)
    for (const auto& file : chain.files)
      if (const int64_t from = file.known_from_ms(); from > m_wish.period.since_ms)
        found.emplace_back(chain.source, from);
  return found;
}

uint64_t LogSet::bytes_read() const {
  uint64_t bytes = 0;
  for (const auto& chain : m_chains)
    for (const auto& file : chain.files)
      bytes += file.bytes_read();
  return bytes;
}

} // namespace chillbox::cli
