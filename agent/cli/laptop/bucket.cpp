#include "cli/laptop/bucket.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/temporary_dir.hpp"
#include "cli/pack/kinds.hpp"
#include "os/io.hpp"
#include "os/runner.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>

namespace chillbox::cli {
namespace {

constexpr std::string_view k_scheme = "s3://";
constexpr size_t k_max_settings = 64 * 1024;
constexpr std::chrono::hours k_longest{24};

bool is_plain(std::string_view text, std::string_view more) {
  return !text.empty() && std::ranges::all_of(text, [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
        more.find(c) != std::string_view::npos;
  });
}

} // namespace

Result<Bucket> Bucket::find(const Places& places, std::string_view url) {
  const auto rest = url.starts_with(k_scheme) ? url.substr(k_scheme.size()) : "";
  const auto slash = rest.find('/');
  const std::string name(rest.substr(0, slash));
  std::string prefix(slash == std::string_view::npos ? "" : rest.substr(slash + 1));
  while (prefix.ends_with('/'))
    prefix.pop_back();
  if (!is_plain(name, ".-") || name.starts_with('.') ||
      (!prefix.empty() &&
          (!is_plain(prefix, "._-/") || cat("/", prefix).find("/.") != std::string::npos)))
    return fail(Code::usage,
        cat("--via ", printable(url, 200),
            ": must be s3://BUCKET or s3://BUCKET/PREFIX of letters, digits and . _ - /"));
  const std::string path = cat(places.config, "/buckets/", name);
  auto text = read_own_file(path, k_max_settings);
  if (!text && text.error().code == Code::not_found)
    return fail(Code::not_found,
        cat("nothing is known of the bucket '", name,
            "': write the lines url=https://ENDPOINT, access_key=..., secret_key=... to ", path,
            ", with mode 0600"));
  if (!text)
    return std::unexpected(text.error());
  struct stat st{};
  if (::stat(path.c_str(), &st) == 0 && (st.st_mode & 077) != 0)
    return fail(Code::denied, cat(path, " can be read by others: chmod 0600 ", path));
  Bucket bucket;
  bucket.m_name = std::string(url);
  for (const auto line : split(*text, '\n'))
    if (!line.starts_with("bucket=") && !line.starts_with("prefix="))
      bucket.m_settings += cat(line, "\n");
  wipe(text->data(), text->size());
  bucket.m_settings += cat("bucket=", name, "\n");
  if (!prefix.empty())
    bucket.m_settings += cat("prefix=", prefix, "\n");
  return bucket;
}

Result<void> Bucket::put_file(int fd, const std::string& name) const {
  const auto hooks = TRY(TemporaryDir::for_hooks());
  TRY(write_shipped_hooks(hooks.path()));
  const Fd said = TRY(os::memory_file());
  os::Command c;
  c.argv = {"sh", hooks.path() + "/backup/s3", "put", name};
  c.secrets = m_settings;
  c.streams = {fd, said.get(), said.get()};
  c.timeout = k_longest;
  const auto exit = os::real_runner().run(c);
  wipe(c.secrets.data(), c.secrets.size());
  if (!exit)
    return std::unexpected(exit.error());
  if (exit->ok())
    return {};
  (void)::lseek(said.get(), 0, SEEK_SET);
  const auto all = os::read_all(said.get(), k_max_settings, "messages");
  const auto words = trim(all.value_or(""));
  return fail(os::hook_code(exit->code),
      cat(printable(m_name, 200), ": ",
          words.empty() ? cat("s3 put ended with ", exit->code) : printable(words, 500)));
}

Result<void> Bucket::put(
    const std::string& artifact, const Digest& sha256, std::string_view signature) const {
  const Fd file(::open(artifact.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file)
    return fail_errno(cat("open ", printable(artifact, 1024)), errno);
  const std::string name = cat(sha256.str(), ".age");
  TRY(put_file(file.get(), name));
  return put_file(TRY(os::memory_file(signature)).get(), name + ".minisig");
}

} // namespace chillbox::cli
