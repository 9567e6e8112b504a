#include "rollout/data_copy.hpp"

#include "base/json.hpp"
#include "base/text.hpp"
#include "control/json.hpp"
#include "os/runner.hpp"
#include "os/tree_walk.hpp"
#include "store/site_database.hpp"

#include <nlohmann/json.hpp>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <limits>
#include <set>

namespace chillbox::rollout {
namespace {

using os::At;
using os::OpenFile;

constexpr size_t k_max_text = 64 * 1024;
constexpr size_t k_names_told = 5;
constexpr os::Millis k_database_wait{5'000}, k_redis_wait{60'000};
constexpr std::string_view k_redis_dump = "redis/dump.rdb"; // below the data

int64_t changed_ms(const struct stat& st) { // a program cannot set this time
  return int64_t{st.st_ctim.tv_sec} * 1000 + st.st_ctim.tv_nsec / 1'000'000;
}

// What SQLite keeps beside a database of this directory.
bool is_companion(const std::set<std::string>& databases, std::string_view name) {
  return std::ranges::any_of(store::k_sqlite_companions, [&](std::string_view end) {
    return name.ends_with(end) &&
        databases.contains(std::string(name.substr(0, name.size() - end.size())));
  });
}

class Copier {
public:
  explicit Copier(const CopyOrder& order) : m_order(order) {}

  Result<CopyReport> run() {
    const Fd from = TRY(open_top(m_order.from));
    const Fd to = m_order.to.empty() ? Fd() : TRY(open_top(m_order.to));
    TRY(directory({from.get(), m_order.from}, {to.get(), m_order.to}, ""));
    TRY(redis(to.get()));
    return std::move(m_report);
  }

private:
  bool copies() const { return !m_order.to.empty(); }

  static Result<Fd> open_top(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    return fd ? Result<Fd>(std::move(fd)) : fail_errno(cat("open ", path), errno);
  }

  void leave_out(const std::string& path, std::string_view why) {
    if (m_report.left_out++ < k_names_told)
      m_report.notes.push_back(cat("'", printable(path, 200), "' is left out: ", why));
  }

  Result<void> directory(const At& from, const At& to, const std::string& above) {
    std::set<std::string> databases;
    for (const auto& name : TRY(os::names_in(from))) {
      struct stat st{};
      if (::fstatat(from.fd, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT)
          continue; // removed meanwhile
        return fail_errno(cat("look at ", from.below(name)), errno);
      }
      if (++m_report.entries > m_order.entries_max)
        return fail(Code::too_large, cat("more than ", m_order.entries_max, " files and folders"));
      if (is_companion(databases, name))
        note_change(st, name);
      else
        TRY(entry(from, to, above + name, name, st, databases));
    }
    return {};
  }

  Result<void> entry(const At& from, const At& to, const std::string& path, const std::string& name,
      const struct stat& st, std::set<std::string>& databases) {
    if (S_ISDIR(st.st_mode))
      return folder(from, to, path, name, st);
    if (S_ISREG(st.st_mode))
      return file(from, to, path, name, st, databases);
    if (S_ISLNK(st.st_mode))
      return copies() ? link(from, to, name) : Result<void>{};
    if (!S_ISSOCK(st.st_mode)) // each Redis has one
      leave_out(path, "it is no file");
    return {};
  }

  Result<void> link(const At& from, const At& to, const std::string& name) {
    const auto target = TRY(os::link_target(from, name));
    if (::symlinkat(target.c_str(), to.fd, name.c_str()) != 0)
      return fail_errno(cat("link ", to.below(name)), errno);
    return {};
  }

  // Its own mode at once, so that a group that it inherits with its files stays; the time last.
  Result<void> folder(const At& from, const At& to, const std::string& path,
      const std::string& name, const struct stat& st) {
    const Fd source(::openat(
        from.fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat outer{}, inner{};
    if (!source)
      return leave_out(path, "its owner may not read it"), Result<void>{};
    if (::fstat(from.fd, &outer) != 0 || ::fstat(source.get(), &inner) != 0)
      return fail_errno(cat("look at ", from.below(name)), errno);
    if (outer.st_dev != inner.st_dev)
      return leave_out(path, "another file system is mounted there"), Result<void>{};
    if (from.depth >= os::k_max_depth)
      return fail(
          Code::too_large, cat(from.below(name), ": more than ", os::k_max_depth, " levels deep"));
    const At below{source.get(), from.below(name), from.depth + 1};
    if (!copies())
      return directory(below, {-1, ""}, path + "/");
    const mode_t mode = st.st_mode & 0777;
    if (::mkdirat(to.fd, name.c_str(), mode | 0700) != 0 && errno != EEXIST)
      return fail_errno(cat("make directory ", to.below(name)), errno);
    const Fd target(::openat(to.fd, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!target)
      return fail_errno(cat("open ", to.below(name)), errno);
    TRY(directory(below, {target.get(), to.below(name), to.depth + 1}, path + "/"));
    if ((mode | 0700) != mode && ::fchmod(target.get(), mode) != 0)
      return fail_errno(cat("change mode of ", to.below(name)), errno);
    return keep_times(target.get(), st, to.below(name));
  }

  void note_change(const struct stat& st, std::string_view name) {
    m_report.newest_ms = std::max(m_report.newest_ms, changed_ms(st));
    if (m_order.since_ms != 0 && changed_ms(st) > m_order.since_ms && !name.ends_with("-shm"))
      ++m_report.changed;
  }

  Result<void> file(const At& from, const At& to, const std::string& path, const std::string& name,
      const struct stat& seen, std::set<std::string>& databases) {
    note_change(seen, name);
    auto opened = os::open_file(from, name, seen);
    if (!opened && opened.error().code == Code::not_found)
      return {};
    if (!opened)
      return leave_out(path, "its owner may not read it"), Result<void>{};
    const OpenFile in = std::move(*opened);
    const auto size = static_cast<uint64_t>(in.st.st_blocks) * 512; // a hole takes none
    m_report.bytes += std::min(size, static_cast<uint64_t>(in.st.st_size));
    const bool database = store::is_sqlite(in.fd.get());
    if (database) {
      databases.insert(name);
      m_report.databases += static_cast<uint64_t>(in.st.st_size);
    }
    if (!copies())
      return {};
    const Fd out(::openat(to.fd, name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
        (in.st.st_mode & 0777) | 0600));
    if (!out)
      return fail_errno(cat("create ", to.below(name)), errno);
    TRY(database ? copy_database(in, out, path) : copy_file(in, out, to.below(name)));
    if (((in.st.st_mode & 0777) | 0600) != (in.st.st_mode & 0777) &&
        ::fchmod(out.get(), in.st.st_mode & 0777) != 0)
      return fail_errno(cat("change mode of ", to.below(name)), errno);
    return keep_times(out.get(), in.st, to.below(name));
  }

  static Result<void> keep_times(int fd, const struct stat& st, const std::string& path) {
    const std::array<timespec, 2> times{st.st_atim, st.st_mtim};
    if (::futimens(fd, times.data()) != 0)
      return fail_errno(cat("set the time of ", path), errno);
    return {};
  }

  Result<void> spend(uint64_t bytes) {
    m_spent += bytes;
    return m_spent <= m_order.bytes_max
        ? Result<void>{}
        : fail(Code::too_large, cat("more than ", human_size(m_order.bytes_max)));
  }

  Result<void> copy_database(const OpenFile& in, const Fd& out, const std::string& path) {
    TRY(spend(static_cast<uint64_t>(in.st.st_size)));
    auto copied = store::copy_site_database(
        cat(m_order.from, "/", path), cat(m_order.to, "/", path), k_database_wait);
    if (copied)
      return {};
    if (copied.error().code != Code::corrupt)
      return within("database", copied.error());
    if (m_report.damaged.size() < k_names_told)
      m_report.damaged.push_back(printable(path, 200));
    if (::ftruncate(out.get(), 0) != 0)
      return fail_errno(cat("empty the copy of ", printable(path, 200)), errno);
    return copy_file(in, out, path);
  }

  Result<void> copy_file(const OpenFile& in, const Fd& out, const std::string& path) {
    if (::ioctl(out.get(), FICLONE, in.fd.get()) == 0) {
      m_report.cloned += static_cast<uint64_t>(in.st.st_size);
      return {};
    }
    const off_t end = in.st.st_size;
    for (off_t at = next_data(in.fd.get(), 0); at < end;) {
      off_t hole = ::lseek(in.fd.get(), at, SEEK_HOLE);
      hole = hole <= at || hole > end ? end : hole;
      TRY(spend(static_cast<uint64_t>(hole - at)));
      if (!TRY(copy_range(in.fd.get(), out.get(), at, hole, path)))
        break; // it was cut off meanwhile
      at = hole < end ? next_data(in.fd.get(), hole) : end;
    }
    if (::ftruncate(out.get(), end) != 0)
      return fail_errno(cat("write ", path), errno);
    return {};
  }

  // Where a file system does not know, all of it is data.
  static off_t next_data(int fd, off_t from) {
    const off_t at = ::lseek(fd, from, SEEK_DATA);
    return at >= 0 ? at : errno == ENXIO ? std::numeric_limits<off_t>::max() : from;
  }

  // False: there is less of it than there was.
  static Result<bool> copy_range(int in, int out, off_t from, off_t to, const std::string& path) {
    off_t read_at = from, write_at = from;
    while (read_at < to) {
      const auto left = static_cast<size_t>(to - read_at);
      ssize_t n = ::copy_file_range(in, &read_at, out, &write_at, left, 0);
      if (n < 0 && (errno == EINVAL || errno == ENOSYS || errno == EOPNOTSUPP || errno == EXDEV))
        n = copy_block(in, out, read_at, write_at, left);
      if (n < 0 && errno == EINTR)
        continue;
      if (n < 0)
        return fail_errno(cat("copy to ", path), errno);
      if (n == 0)
        return false;
    }
    return true;
  }

  static ssize_t copy_block(int in, int out, off_t& read_at, off_t& write_at, size_t left) {
    std::array<char, 64 * 1024> block;
    const ssize_t got = ::pread(in, block.data(), std::min(left, block.size()), read_at);
    const ssize_t put =
        got <= 0 ? got : ::pwrite(out, block.data(), static_cast<size_t>(got), write_at);
    if (put > 0) {
      read_at += put;
      write_at += put;
    }
    return put;
  }

  // Redis has in its memory what its dump does not have yet.
  Result<void> redis(int to) {
    if (!copies() || m_order.redis.empty())
      return {};
    const std::string dump = cat(m_order.to, "/", k_redis_dump), fresh = dump + ".new";
    os::Command c;
    c.argv = {m_order.redis, "-s", cat(m_order.from, "/redis/redis.sock"), "--rdb", fresh};
    c.timeout = k_redis_wait;
    const auto exit = os::real_runner().run(c);
    if (exit && exit->ok() &&
        ::renameat(to, (std::string(k_redis_dump) + ".new").c_str(), to,
            std::string(k_redis_dump).c_str()) == 0)
      return {};
    (void)::unlink(fresh.c_str());
    m_report.notes.push_back(cat("redis: no fresh dump (",
        exit ? printable(trim(exit->err.empty() ? exit->out : exit->err), 200)
             : exit.error().message,
        "): what its folder has is kept"));
    return {};
  }

  const CopyOrder& m_order;
  CopyReport m_report;
  uint64_t m_spent = 0;
};

std::string to_text(const Result<CopyReport>& result) {
  if (!result)
    return dump(Json{{"code", std::string(code_name(result.error().code))},
        {"message", printable(result.error().message, 1000)}});
  const auto& r = *result;
  return dump(Json{{"bytes", r.bytes}, {"entries", r.entries}, {"cloned", r.cloned},
      {"databases", r.databases}, {"left_out", r.left_out}, {"changed", r.changed},
      {"newest_ms", r.newest_ms}, {"damaged", r.damaged}, {"notes", r.notes}});
}

std::vector<std::string> texts_at(const Json& json, std::string_view key) {
  std::vector<std::string> texts;
  const auto found = json.find(key);
  if (found != json.end() && found->is_array())
    for (const auto& one : *found)
      if (one.is_string())
        texts.push_back(printable(one.get<std::string>(), 500));
  return texts;
}

} // namespace

std::string to_text(const CopyOrder& o) {
  return dump(Json{{"from", o.from}, {"to", o.to}, {"bytes_max", o.bytes_max},
      {"entries_max", o.entries_max}, {"since_ms", o.since_ms}, {"redis", o.redis}});
}

Result<CopyReport> parse_report(const std::string& text) {
  const Json json = TRY_IN("answer of the copier", parse_json(text, k_max_text));
  if (!json.is_object())
    return fail(Code::corrupt, "answer of the copier: malformed");
  if (const auto code = control::string_or(json, "code", ""); !code.empty())
    return fail(code_from_name(code), printable(control::string_or(json, "message", ""), 1000));
  CopyReport r;
  for (const auto& [name, member] :
      {std::pair{"bytes", &CopyReport::bytes}, std::pair{"entries", &CopyReport::entries},
          std::pair{"cloned", &CopyReport::cloned}, std::pair{"databases", &CopyReport::databases},
          std::pair{"left_out", &CopyReport::left_out}, std::pair{"changed", &CopyReport::changed}})
    r.*member = TRY(control::u64_at(json, name));
  r.newest_ms = static_cast<int64_t>(control::u64_or(json, "newest_ms", 0));
  r.damaged = texts_at(json, "damaged");
  r.notes = texts_at(json, "notes");
  return r;
}

Result<CopyReport> copy_data(const CopyOrder& order) {
  const mode_t before = ::umask(0); // modes are those of the data
  auto report = Copier(order).run();
  ::umask(before);
  return report;
}

std::string copier_answer(const std::string& order) {
  const auto json = parse_json(order, k_max_text);
  if (!json || !json->is_object())
    return to_text(Result<CopyReport>(fail(Code::invalid, "copier: no order")));
  return to_text(copy_data({.from = control::string_or(*json, "from", ""),
      .to = control::string_or(*json, "to", ""),
      .bytes_max = control::u64_or(*json, "bytes_max", 0),
      .entries_max = control::u64_or(*json, "entries_max", 0),
      .since_ms = static_cast<int64_t>(control::u64_or(*json, "since_ms", 0)),
      .redis = control::string_or(*json, "redis", "")}));
}

int copier_main(const std::string& order) {
  const std::string answer = copier_answer(order);
  return std::printf("%s\n", answer.c_str()) > 0 && std::fflush(stdout) == 0 ? 0 : 1;
}

} // namespace chillbox::rollout
