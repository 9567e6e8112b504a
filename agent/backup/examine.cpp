// The process that looks at an unpacked archive.
#include "backup/manifest.hpp"
#include "backup/proof.hpp"
#include "base/text.hpp"
#include "crypto/hash.hpp"
#include "os/io.hpp"
#include "os/tree_walk.hpp"
#include "store/site_database.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>

namespace chillbox::backup {
namespace {

constexpr size_t k_max_lines = 50;
constexpr size_t k_buffer = 64 * 1024;
constexpr uint64_t k_own_files = 2; // manifest.json, site.json

class Examination {
public:
  Examination(const std::string& dir, bool as_stored) : m_dir(dir), m_as_stored(as_stored) {}
  Result<ProofReport> run();

private:
  Result<void> look_at(const ManifestEntry& entry);
  Result<void> look_at_file(const ManifestEntry& entry, const std::string& path);
  Result<uint64_t> count(const os::At& at);
  void damaged(std::string_view path, std::string_view why) {
    m_report.damaged.push_back(cat(printable(path), ": ", printable(why, 300)));
  }
  // What is as it was stored, and was not good then.
  void unsound(std::string_view path, std::string_view why) {
    (m_as_stored ? m_report.remarks : m_report.damaged)
        .push_back(cat(printable(path), ": ", printable(why, 300)));
  }

  const std::string& m_dir;
  const bool m_as_stored;
  ProofReport m_report;
  Bytes m_bytes = Bytes(k_buffer);
};

Result<void> Examination::look_at_file(const ManifestEntry& entry, const std::string& path) {
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd) {
    damaged(entry.path, "it is missing");
    return {};
  }
  crypto::Sha256 digest;
  uint64_t size = 0;
  for (;;) {
    const ssize_t n = os::read_some(fd.get(), m_bytes.data(), m_bytes.size());
    if (n < 0)
      return fail_errno(printable(entry.path), errno);
    if (n == 0)
      break;
    size += static_cast<uint64_t>(n);
    digest.update(ByteView(m_bytes).first(static_cast<size_t>(n)));
  }
  ++m_report.files;
  if (size != entry.size || hex(digest.finish()) != entry.sha256)
    damaged(entry.path, "its digest is not the manifest's");
  else if (!entry.damaged.empty())
    unsound(entry.path, cat("it was damaged when it was backed up: ", entry.damaged));
  else if (entry.kind == Kind::sqlite) {
    ++m_report.databases;
    const auto found = TRY(store::examine_site_database(path, true));
    if (!found.damage.empty())
      unsound(entry.path, found.damage);
    if (!found.remark.empty())
      m_report.remarks.push_back(cat(printable(entry.path), ": ", found.remark));
  }
  return {};
}

Result<void> Examination::look_at(const ManifestEntry& entry) {
  const std::string path = cat(m_dir, "/", entry.member);
  switch (entry.kind) {
  case Kind::file:
  case Kind::sqlite:
  case Kind::rdb: return look_at_file(entry, path);
  case Kind::directory:
    if (::access(path.c_str(), F_OK) != 0)
      damaged(entry.path, "it is missing");
    return {};
  case Kind::link: {
    std::array<char, 4096> target{};
    const ssize_t n =
        entry.member.empty() ? 0 : ::readlink(path.c_str(), target.data(), target.size());
    if (!entry.member.empty() &&
        (n < 0 || std::string_view(target.data(), static_cast<size_t>(n)) != entry.target))
      damaged(entry.path, "it is not the link that it was");
    return {};
  }
  }
  return {};
}

Result<uint64_t> Examination::count(const os::At& at) {
  uint64_t files = 0;
  for (const auto& name : TRY(os::names_in(at))) {
    const auto st = TRY(os::stat_at(at, name));
    if (S_ISREG(st.st_mode))
      ++files;
    if (!S_ISDIR(st.st_mode))
      continue;
    const Fd inner = TRY(os::enter(at, name));
    files += TRY(count({inner.get(), at.below(name), at.depth + 1}));
  }
  return files;
}

Result<ProofReport> Examination::run() {
  const auto head = TRY(read_manifest(
      m_dir + "/manifest.json", [this](const ManifestEntry& entry) { return look_at(entry); }));
  m_report.head = cat(head.site.str(), " ", head.serial);
  const Fd dir(::open(m_dir.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!dir)
    return fail_errno(m_dir, errno);
  const uint64_t there = TRY(count({dir.get(), "archive"}));
  if (there != m_report.files + k_own_files)
    damaged("archive",
        cat("it has ", there, " files, its manifest names ", m_report.files, " and ", k_own_files,
            " of its own"));
  return std::move(m_report);
}

void add_lines(std::string& text, std::string_view word, const std::vector<std::string>& lines) {
  const size_t shown = std::min(lines.size(), k_max_lines);
  for (size_t i = 0; i < shown; ++i)
    text += cat(word, " ", printable(lines[i], 500), "\n");
  if (shown < lines.size())
    text += cat(word, " and ", lines.size() - shown, " more\n");
}

} // namespace

Result<ProofReport> examine(const std::string& dir, bool as_stored) {
  return Examination(dir, as_stored).run();
}

std::string report_text(const ProofReport& report) {
  std::string text =
      cat("head ", report.head, "\nfiles ", report.files, "\ndatabases ", report.databases, "\n");
  add_lines(text, "damaged", report.damaged);
  add_lines(text, "remark", report.remarks);
  return text;
}

Result<ProofReport> parse_proof(std::string_view text) {
  ProofReport report;
  const auto after = [](std::string_view line, std::string_view word) {
    return line.starts_with(word) ? std::optional(line.substr(word.size())) : std::nullopt;
  };
  for (const auto line : split(text, '\n')) {
    if (const auto head = after(line, "head "))
      report.head = printable(*head, 100);
    else if (const auto files = after(line, "files "))
      report.files = parse_u64(*files).value_or(0);
    else if (const auto databases = after(line, "databases "))
      report.databases = parse_u64(*databases).value_or(0);
    else if (const auto damaged = after(line, "damaged ");
        damaged && report.damaged.size() <= k_max_lines)
      report.damaged.push_back(printable(*damaged, 500));
    else if (const auto remark = after(line, "remark ");
        remark && report.remarks.size() <= k_max_lines)
      report.remarks.push_back(printable(*remark, 500));
  }
  if (report.head.empty())
    return fail(Code::failure, "the process that looks at the data ended without a report");
  return report;
}

int say_report(const Result<ProofReport>& report) {
  const auto text = report
      ? report_text(*report)
      : cat("error ", code_name(report.error().code), " ", report.error().message, "\n");
  const bool said = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  return said && report ? 0 : 1;
}

int proof_main(const std::string& dir) {
  return say_report(examine(dir));
}

} // namespace chillbox::backup
