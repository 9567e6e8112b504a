#include "backup/proof.hpp"

#include "artifact/age_input.hpp"
#include "artifact/artifact_store.hpp"
#include "backup/snapshot.hpp"
#include "backup/take.hpp"
#include "base/text.hpp"
#include "os/give_tree.hpp"
#include "os/host_layout.hpp"
#include "os/io.hpp"
#include "os/job_user.hpp"
#include "os/roles.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

namespace chillbox::backup {
namespace {

constexpr uint64_t k_beside = 64ULL << 20; // manifest, folders, what compression adds
constexpr os::Millis k_longest_proof{4 * 3'600'000};
constexpr uint32_t k_cpu_seconds = 4 * 3600;
constexpr const char* k_check_rdb = "redis-check-rdb";
constexpr std::string_view k_inside = "/var/lib/restored"; // the tree, for who makes the data

// From the target into a file that nobody but root can read afterwards.
Result<Fd> download(
    const Prover& host, const std::string& name, const std::string& path, uint64_t limit) {
  (void)host.disk.remove(path);
  Fd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd)
    return fail_errno(path, errno);
  TRY(lend(fd.get(), host.as_root));
  auto got = host.target.get(name, fd.get(), limit);
  const os::Owner root = os::root_owner(host.paths);
  if (::fchown(fd.get(), root.uid, root.gid) != 0 || ::fchmod(fd.get(), 0600) != 0)
    return fail_errno(path, errno);
  TRY(got);
  return fd;
}

// A program that looks at the tree as nobody.
Result<os::Exit> run_beside(const Prover& host, std::vector<std::string> argv,
    const std::string& tree, const std::optional<os::JobUser>& user) {
  os::Command c;
  c.argv = std::move(argv);
  c.timeout = k_longest_proof;
  c.limits.cpu_seconds = k_cpu_seconds;
  c.cancelled = os::when_set(host.stop);
  if (host.as_root) {
    os::sandbox(c, {tree});
    c.user = user->user();
  }
  return host.runner.run(c);
}

Result<void> check_redis(const Prover& host, const std::string& tree,
    const std::optional<os::JobUser>& user, Checked& checked) {
  const std::string dump = tree + "/redis/dump.rdb";
  if (!host.disk.exists(dump))
    return {};
  const auto exit = run_beside(host, {k_check_rdb, dump}, tree, user);
  if (!exit && exit.error().code == Code::not_found)
    checked.remarks.push_back(
        cat("redis/dump.rdb: not looked at: there is no ", k_check_rdb, " on this host"));
  else if (!exit)
    return std::unexpected(exit.error());
  else if (!exit->ok())
    checked.damaged.push_back(cat("redis/dump.rdb: ", k_check_rdb, " ended with ", exit->code, ": ",
        printable(trim(exit->out).substr(0, 300))));
  return {};
}

} // namespace

uint64_t most(const config::HostBackup& config) {
  return config.data_max + config.data_max / 8 + k_beside;
}

bool is_verdict(Code code) {
  return code == Code::corrupt || code == Code::denied || code == Code::invalid;
}

Result<GotArchive> get_archive(
    const Prover& host, const ArchiveName& name, const std::string& path) {
  const std::string signature = cat(path, k_signature_suffix, ".get");
  auto text = [&]() -> Result<std::string> {
    const Fd file =
        TRY(download(host, cat(name.str(), k_signature_suffix), signature, k_max_signature));
    if (::lseek(file.get(), 0, SEEK_SET) != 0) // not by its name, which is another one's by now
      return fail_errno(signature, errno);
    return os::read_all(file.get(), k_max_signature, signature);
  }();
  (void)host.disk.remove(signature);
  if (!text)
    return std::unexpected(text.error());
  auto file = download(host, name.str(), path, most(host.config));
  if (file)
    return GotArchive{std::move(*text), std::move(*file)};
  (void)host.disk.remove(path);
  return std::unexpected(std::move(file).error());
}

Result<Fetched> verify(
    const Prover& host, const ArchiveName& name, const std::string& path, GotArchive got) {
  auto made = [&]() -> Result<Fetched> {
    const auto key = TRY(public_key(host.disk, host.paths));
    const auto digests = TRY(artifact::digest_file(got.file.get()));
    auto statement = TRY_IN(
        name.str(), verify_archive(key, got.signature, digests.blake2b, digests.sha256, name));
    return Fetched{name, std::move(statement), path, std::move(got.file)};
  }();
  if (!made)
    (void)host.disk.remove(path);
  return made;
}

Result<Fetched> open_local(const Prover& host, const ArchiveName& name) {
  const auto key = TRY(public_key(host.disk, host.paths));
  const std::string path = archive_path(host.paths, name);
  const auto signature = TRY(host.disk.read(cat(path, k_signature_suffix), k_max_signature));
  Fd file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file)
    return fail_errno(path, errno);
  const auto digests = TRY(artifact::digest_file(file.get()));
  auto statement =
      TRY_IN(name.str(), verify_archive(key, signature, digests.blake2b, digests.sha256, name));
  return Fetched{name, std::move(statement), "", std::move(file)};
}

Result<SecretBytes> unseal(const Prover& host, const Fetched& archive) {
  const auto input = TRY_IN(archive.name.str(), artifact::open_age(archive.file.get()));
  auto key = host.file_key(input.header_text);
  if (!key && key.error().code == Code::not_found)
    return fail(Code::preflight,
        cat(archive.name.str(),
            " was made for a former key of this host: on a laptop with a key of backup.recipients, "
            "`chillboxctl backup pull ",
            archive.name.site.str(),
            " -H HOST`, and `chillboxctl backup push FILE -H HOST --from HOST -i KEY` gives it to "
            "this host again"));
  return key;
}

Result<artifact::StageStats> unpack(
    const Prover& host, const Fetched& archive, const SecretBytes& key, const std::string& tree) {
  const os::Owner root = os::root_owner(host.paths);
  TRY(host.disk.make_dir(tree.substr(0, tree.rfind('/')), 0700, root));
  artifact::StageJob job{.artifact_fd = archive.file.get(),
      .tree = tree,
      .limits = {.bytes = most(host.config), .entries = 2 * k_max_entries, .ratio = UINT32_MAX},
      .own_user = host.as_root,
      .timeout = k_longest_proof,
      .cancelled = os::when_set(host.stop)};
  auto stats = TRY_IN(archive.name.str(), artifact::stage(std::move(job), key));
  const auto top = host.disk.list(tree);
  if (!top || top->size() != 1 || top->front() != archive.name.site.str()) {
    (void)host.disk.remove_tree(tree);
    return fail(Code::corrupt,
        cat(archive.name.str(), ": it has something else in it than the folder ",
            archive.name.site.str()));
  }
  return stats;
}

namespace {

// What the process that looks at the tree has to say.
Result<ProofReport> heard(const Fetched& archive, const os::Exit& exit) {
  if (auto why = reported_error(exit.out))
    return std::unexpected(std::move(*why));
  if (!exit.ok())
    return fail(Code::failure,
        cat("the process that looks at the data ended with ", exit.code,
            exit.reached.empty() ? "" : cat(", it came up against ", exit.reached), ": ",
            printable(trim(exit.err), 300)));
  ProofReport report = TRY(parse_proof(exit.out));
  if (report.head != cat(archive.name.site.str(), " ", archive.name.serial))
    return fail(Code::corrupt, cat(archive.name.str(), ": its manifest is of '", report.head, "'"));
  return report;
}

} // namespace

Result<Checked> check(const Prover& host, const Fetched& archive, const std::string& tree) {
  const std::string dir = cat(tree, "/", archive.name.site.str());
  std::optional<os::JobUser> user;
  if (host.as_root)
    user.emplace(TRY(os::JobUser::take()));
  const auto exit = TRY_IN("look at the data",
      run_beside(host, {"/proc/self/exe", std::string(os::k_proof_role.flag), dir}, dir, user));
  ProofReport report = TRY(heard(archive, exit));
  TRY(check_redis(host, dir, user, report));
  return Checked(std::move(report));
}

Result<Checked> put_back(const Prover& host, const Fetched& archive, const SecretBytes& key,
    const std::string& tree, const os::User& owner) {
  TRY(unpack(host, archive, key, tree));
  const std::string dir = cat(tree, "/", archive.name.site.str());
  os::Command c;
  c.argv = {"/proc/self/exe", std::string(os::k_restore_role.flag), dir};
  c.timeout = k_longest_proof;
  c.limits.cpu_seconds = k_cpu_seconds;
  c.limits.file_size = most(host.config); // no more than what is there is written
  c.cancelled = os::when_set(host.stop);
  if (host.as_root) {
    TRY(os::give_tree(dir, {owner.uid, owner.gid}));
    os::sandbox(c, {});
    c.view.binds.push_back({dir, std::string(k_inside), true});
    c.argv.back() = k_inside;
    c.user = owner;
  }
  auto report = TRY(heard(archive, TRY_IN("make the data", host.runner.run(c))));
  if (!report.damaged.empty())
    return fail(Code::corrupt, cat(archive.name.str(), ": ", join(report.damaged, "; ")));
  return Checked(std::move(report));
}

} // namespace chillbox::backup
