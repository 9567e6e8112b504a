// init: makes what a host needs before chillboxd runs. Groups and users come first, because they
// own the directories; the identity comes last, because only it needs a person. Every line says
// what was made or already exists; a second run changes nothing.
#include "cli/core/answers.hpp"
#include "cli/core/daemon.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/host_toml.hpp"
#include "cli/core/options.hpp"
#include "cli/core/prompt.hpp"
#include "cli/core/terminal.hpp"

#include "backup/archive.hpp"
#include "base/text.hpp"
#include "config/host.hpp"
#include "crypto/age.hpp"
#include "os/clock.hpp"
#include "os/mount.hpp"
#include "os/root_owned.hpp"
#include "os/runner.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_init_options{
    k_passphrase_fd,
    Option{"--work-factor", ArgKind::number, "N",
        "log2 of the scrypt work factor (default: what the memory allows, at most 18)"},
};

constexpr int k_least_work_factor = 10;

class HostKeys {
public:
  explicit HostKeys(Call& call)
      : m_call(call), m_disk(os::real_disk()), m_root(os::root_owner(call.paths)) {}

  Result<void> people();
  Result<void> directories();
  Result<void> config();
  Result<void> identity();
  Result<void> backup_key();
  Result<void> runlevel();
  const std::vector<std::string>& made() const { return m_made; }

private:
  void tell(bool made, const std::string& what);
  Result<void> run_hook(const std::string& hook, std::vector<std::string> args);
  Result<void> directory(const std::string& path, mode_t mode, os::Owner owner);
  Result<void> new_identity();
  Result<void> recipient_again();
  Result<int> work_factor() const;

  Call& m_call;
  os::Disk& m_disk;
  os::Owner m_root;
  std::vector<std::string> m_made;
};

void HostKeys::tell(bool made, const std::string& what) {
  if (made)
    m_made.push_back(what);
  if (!m_call.terminal.json() && !m_call.terminal.quiet())
    m_call.terminal.print(cat(made ? "made        " : "unchanged   ", what));
}

// Debian and Alpine make users differently, so a hook does it.
Result<void> HostKeys::run_hook(const std::string& hook, std::vector<std::string> args) {
  os::Command command{.argv = {os::host_hook(m_call.paths, hook)}};
  command.argv.insert(command.argv.end(), args.begin(), args.end());
  const os::Exit exit = TRY_IN(hook, os::real_runner().run(command));
  if (!exit.ok())
    return fail(Code::failure,
        cat(hook, " ", join(args, " "), ": exit ", exit.code, ": ",
            printable(trim(exit.err), 300)));
  return {};
}

Result<void> HostKeys::people() {
  if (m_call.paths.testing() && !m_disk.exists(os::host_hook(m_call.paths, "user-add"))) {
    tell(false, "users and groups: left alone under CHILLBOX_ROOT");
    return {};
  }
  const std::string group(os::k_admin_group);
  const bool group_is_new = !os::find_group(group);
  if (group_is_new)
    TRY(run_hook("group-add", {group}));
  tell(group_is_new, cat("group ", group, ": may use the control socket"));
  for (const auto& user : os::k_host_users) {
    const std::string name(user.name);
    const bool is_new = !os::find_user(name);
    std::vector<std::string> words{name, std::string(user.home)};
    if (!user.shell.empty())
      words.insert(words.begin(), {"--login", std::string(user.shell)});
    if (is_new)
      TRY(run_hook("user-add", std::move(words)));
    tell(is_new, cat("user ", name));
  }
  return {};
}

Result<void> HostKeys::directory(const std::string& path, mode_t mode, os::Owner owner) {
  struct stat st{};
  const bool there = ::lstat(path.c_str(), &st) == 0;
  if (there && !S_ISDIR(st.st_mode))
    return fail(Code::conflict, cat(path, " exists and is not a directory"));
  const bool right =
      there && (st.st_mode & 07777) == mode && st.st_uid == owner.uid && st.st_gid == owner.gid;
  if (!right)
    TRY(m_disk.make_dir(path, mode, owner));
  tell(!right,
      there && !right ? cat("directory ", path, ": owner and mode set right")
                      : cat("directory ", path));
  return {};
}

Result<void> HostKeys::directories() {
  for (const auto& row : os::host_directories(m_call.paths))
    if (row.kept != os::Kept::until_boot)
      TRY(directory(row.path, row.mode, row.owner));
  return {};
}

Result<void> HostKeys::config() {
  const std::string path = m_call.paths.config_file();
  const bool is_new = !m_disk.exists(path);
  if (is_new)
    TRY(m_disk.write(path, default_host_toml(), 0640, os::owner_of(m_call.paths, "", "chillbox")));
  tell(is_new, cat("configuration ", path));
  return {};
}

// The highest factor, up to 18, that needs at most a quarter of the memory: an unlock must work
// while the sites run. Factor N needs 2^N KiB.
Result<int> HostKeys::work_factor() const {
  int cap = crypto::k_default_scrypt_cap;
  if (const auto text = m_disk.read(m_call.paths.config_file(), 1 << 20))
    cap = TRY(config::parse_host_config(*text, m_call.paths.config_file())).scrypt_cap;
  if (m_call.args.has("work-factor")) {
    const uint64_t wanted = m_call.args.number("work-factor", 0);
    if (wanted < k_least_work_factor || wanted > crypto::k_most_work_factor)
      return fail(Code::usage,
          cat("--work-factor ", wanted, ": must be ", k_least_work_factor, " to ",
              crypto::k_most_work_factor));
    if (wanted > static_cast<uint64_t>(cap))
      return fail(Code::usage,
          cat("--work-factor ", wanted, ": this host unlocks up to ", cap,
              " (limits.scrypt_cap in chillboxd.toml)"));
    return static_cast<int>(wanted);
  }
  const auto kib = static_cast<uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
      static_cast<uint64_t>(::sysconf(_SC_PAGESIZE)) / 1024;
  int factor = 14;
  while (factor < cap && factor < crypto::k_default_scrypt_cap && (2ULL << factor) <= kib / 4)
    ++factor;
  return factor;
}

Result<void> HostKeys::new_identity() {
  const int factor = TRY(work_factor()); // before someone types
  const SecretBytes passphrase =
      TRY(ask_passphrase(m_call.args, "new passphrase of this host", Ask::twice));
  const auto identity = crypto::AgeIdentity::generate();
  const SecretBytes key = identity.to_text();
  const std::string head = cat("# created: ", rfc3339(os::real_clock().wall()),
      "\n# public key: ", identity.recipient(), "\n");
  SecretBytes file(head.size() + key.size() + 1); // as age-keygen writes it
  std::ranges::copy(head, file.data());
  std::ranges::copy(key.text(), file.data() + head.size());
  file.data()[file.size() - 1] = '\n';
  const Bytes encrypted = TRY(crypto::encrypt_with_passphrase(file.view(), passphrase, factor));
  TRY(m_disk.write(m_call.paths.identity(), text_of(encrypted), 0600, m_root));
  TRY(m_disk.write(m_call.paths.recipient(), identity.recipient() + "\n", 0644, m_root));
  tell(true, cat("identity ", m_call.paths.identity(), ", work factor ", factor));
  tell(true, cat("recipient ", m_call.paths.recipient()));
  return {};
}

// After a run that ended between the two files: the recipient is computed from the identity, which
// needs the passphrase.
Result<void> HostKeys::recipient_again() {
  const std::string file = TRY(m_disk.read(m_call.paths.identity(), k_max_identity));
  const SecretBytes passphrase =
      TRY(ask_passphrase(m_call.args, "passphrase of this host", Ask::once));
  const SecretBytes text =
      TRY(crypto::decrypt_with_passphrase(bytes_of(file), passphrase, crypto::k_most_work_factor));
  const auto identity = TRY_IN(m_call.paths.identity(), crypto::parse_identity_file(text.text()));
  TRY(m_disk.write(m_call.paths.recipient(), identity.recipient() + "\n", 0644, m_root));
  tell(true, cat("recipient ", m_call.paths.recipient()));
  return {};
}

Result<void> HostKeys::identity() {
  if (!m_disk.exists(m_call.paths.identity()))
    return new_identity();
  tell(false, cat("identity ", m_call.paths.identity()));
  if (!m_disk.exists(m_call.paths.recipient()))
    return recipient_again();
  tell(false, cat("recipient ", m_call.paths.recipient()));
  return {};
}

Result<void> HostKeys::backup_key() {
  const std::string file = backup::signing_key_file(m_call.paths);
  const bool there = m_disk.exists(file);
  (void)TRY(backup::signing_key(m_disk, m_call.paths));
  tell(!there, cat("backup key ", file));
  return {};
}

// chillboxd starts at every boot, so that a rebooted host comes back, even if locked.
Result<void> HostKeys::runlevel() {
  const std::string link = "/etc/runlevels/default/chillboxd";
  if (m_call.paths.testing() || !m_disk.exists("/etc/init.d/chillboxd"))
    return {};
  if (m_disk.exists(link)) {
    tell(false, "runlevel default: chillboxd starts at boot");
    return {};
  }
  TRY(m_disk.set_link("/etc/init.d/chillboxd", link)); // as rc-update add does
  tell(true, "runlevel default: chillboxd starts at boot");
  return {};
}

// Whether this run made a new key while the daemon still works with the one before it.
bool has_former_key(const Call& call, const std::vector<std::string>& made) {
  if (std::ranges::none_of(made, [](const auto& what) { return what.starts_with("identity "); }))
    return false;
  const auto text = ask(call.paths, {.verb = "ping"});
  const auto ping = text ? control::read_answer<control::Ping>(*text)
                         : Result<control::Ping>(std::unexpected(text.error()));
  return ping && !ping->sealed;
}

Result<void> run_init(Call& call) {
  TRY(require_root(call.paths, "init"));
  HostKeys setup(call);
  TRY(setup.people());
  TRY(setup.directories());
  TRY(setup.config());
  TRY(setup.identity());
  TRY(setup.backup_key());
  TRY(setup.runlevel());
  const std::string recipient(trim(TRY(os::real_disk().read(call.paths.recipient(), 4096))));
  if (call.terminal.json())
    call.terminal.print(
        answer_text("init", Initialized{.recipient = recipient, .made = setup.made()}));
  else
    call.terminal.print(cat("public key  ", recipient));
  for (const std::string& path : {call.paths.state(), call.paths.sites()})
    if (os::is_in_memory(path))
      call.terminal.print_status(cat("warning: ", path, k_in_memory, "; ", k_keep_on_disk));
  if (has_former_key(call, setup.made()))
    call.terminal.print_status("chillboxd still has the former key: chillboxctl lock, then unlock");
  else if (!setup.made().empty())
    call.terminal.print_status(
        "next: chillboxctl trust add DEPLOYER.pub, chillboxctl webhook add NAME --sites SITE, rc-service chillboxd start");
  return {};
}

} // namespace

extern constinit const Verb k_init{"init", Group::setup, Where::host,
    "make directories, users and the host key", k_init_options, run_init};

} // namespace chillbox::cli
