#include "artifact/stager.hpp"

#include "artifact/secret_packet.hpp"
#include "base/text.hpp"
#include "os/disk.hpp"
#include "os/job_user.hpp"
#include "os/process.hpp"
#include "os/roles.hpp"
#include "os/socket.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <array>
#include <cerrno>
#include <csignal>

namespace chillbox::artifact {
namespace {

constexpr os::Millis k_cancel_look{200}; // at `cancelled`
constexpr os::Millis k_end{10'000};      // from the answer to the end of the process
constexpr size_t k_max_answer = 8192;

// The directory of one attempt, removed with it unless kept.
class Attempt {
public:
  explicit Attempt(std::string path) : m_path(std::move(path)) {}
  Attempt(const Attempt&) = delete;
  Attempt& operator=(const Attempt&) = delete;
  ~Attempt() {
    if (!m_kept)
      (void)os::real_disk().remove_tree(m_path); // the error that brought us here matters more
  }
  void keep() { m_kept = true; }

private:
  std::string m_path;
  bool m_kept = false;
};

Result<Fd> fresh_tree(const StageJob& job, os::Owner owner) {
  TRY(os::real_disk().remove_tree(job.tree)); // of an attempt that a crash ended
  TRY(os::real_disk().make_dir(job.tree, 0700, owner));
  Fd fd(open(job.tree.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd)
    return fail_errno(cat("open ", job.tree), errno);
  return fd;
}

std::unexpected<Error> died(os::Child& child) {
  const auto code = child.wait(k_end);
  return fail(Code::failure,
      code ? cat("the stager ended without an answer, exit ", os::end_text(*code))
           : "the stager closed its socket but keeps running");
}

Result<StageStats> parse_answer(const Bytes& bytes) {
  const auto view = TRY_IN("answer of the stager", control::parse_packet(bytes));
  if (view.verb == control::PacketVerb::stage_error && view.fields.size() == 2)
    return fail(code_from_name(view.fields[0]), printable(view.fields[1], 1000));
  std::array<uint64_t, 5> n{};
  if (view.verb != control::PacketVerb::stage_done || view.fields.size() != n.size())
    return fail(Code::corrupt, "answer of the stager: malformed");
  for (size_t i = 0; i < n.size(); ++i) {
    const auto value = parse_u64(view.fields[i]);
    if (!value)
      return fail(Code::corrupt, "answer of the stager: not a number");
    n[i] = *value;
  }
  return StageStats{
      .files = n[0], .directories = n[1], .links = n[2], .bytes = n[3], .masked = n[4]};
}

Result<StageStats> await(const StageJob& job, int socket, os::Child& child) {
  const auto deadline = os::real_clock().mono() + job.timeout;
  while (!TRY(os::wait_readable(socket, k_cancel_look))) {
    if (job.cancelled && job.cancelled())
      return fail(Code::interrupted, "staging was cancelled");
    if (os::real_clock().mono() > deadline)
      return fail(
          Code::timed_out, cat("the stager was not done after ", job.timeout.count() / 1000, " s"));
  }
  const auto packet = TRY(os::receive_packet(socket, k_max_answer, k_cancel_look));
  if (!packet)
    return died(child);
  const auto stats = TRY(parse_answer(packet->bytes));
  if (TRY_IN("the stager", child.wait(k_end)) != 0)
    return fail(Code::failure, "the stager answered and then failed");
  return stats;
}

// Takes each top folder. A file next to them is left alone: the caller refuses it, and the tree's
// own mode (0700) hides it.
Result<std::string> take(const std::string& tree, os::Owner owner) {
  std::string stamp;
  TRY(os::real_disk().make_dir(tree, 0700, owner));
  for (const auto& name : TRY(os::real_disk().list(tree))) {
    const std::string path = cat(tree, "/", name);
    struct stat st{};
    if (lstat(path.c_str(), &st) == 0 && S_ISDIR(st.st_mode))
      stamp = TRY(os::real_disk().take_tree(path, owner));
  }
  return stamp;
}

Error with_size(Error error, int tree_fd) {
  struct statvfs fs{};
  if (error.code == Code::no_space && fstatvfs(tree_fd, &fs) == 0)
    error.message +=
        cat(": the staging file system has ", human_size(uint64_t{fs.f_blocks} * fs.f_frsize), ", ",
            human_size(uint64_t{fs.f_bavail} * fs.f_frsize), " free");
  return error;
}

} // namespace

struct Stager::State {
  explicit State(StageJob j) : job(std::move(j)), attempt(job.tree) {}
  StageJob job;
  Attempt attempt;
  std::optional<os::JobUser> user;
  os::Owner owner{geteuid(), getegid()};
  Fd tree, socket;
  os::Child child; // ended before the tree is removed

  Result<void> start();
  Result<StageStats> order(const SecretBytes& file_key);
};

Result<void> Stager::State::start() {
  if (job.own_user) {
    user.emplace(TRY(os::JobUser::take()));
    owner = {user->user().uid, user->user().gid};
  }
  tree = TRY(fresh_tree(job, owner));
  auto [ours, theirs] = TRY(os::packet_pair());
  os::RoleCommand command = os::role_command(os::k_stager_role);
  command.fds = {{theirs.get(), 3}, {job.artifact_fd, 4}, {tree.get(), 5}};
  command.ends_with_thread = true;
  child = TRY(os::Child::start(command));
  socket = std::move(ours); // and theirs goes, so that its death is seen
  return {};
}

Result<StageStats> Stager::State::order(const SecretBytes& file_key) {
  const auto order = make_secret_packet(control::PacketVerb::file_key, 0,
      {file_key.text(), std::to_string(job.limits.bytes), std::to_string(job.limits.entries),
          std::to_string(job.limits.ratio)});
  if (auto sent = os::send_packet(socket.get(), order.view()); !sent)
    return sent.error().code == Code::unreachable ? died(child)
                                                  : std::unexpected(std::move(sent.error()));
  return await(job, socket.get(), child);
}

Stager::Stager(std::unique_ptr<State> state) : m_state(std::move(state)) {}
Stager::~Stager() = default;

Result<std::unique_ptr<Stager>> Stager::start(StageJob job) {
  auto state = std::make_unique<State>(std::move(job));
  TRY(state->start());
  return std::unique_ptr<Stager>(new Stager(std::move(state)));
}

Result<StageStats> Stager::run(const SecretBytes& file_key) {
  State& s = *m_state;
  auto said = s.order(file_key);
  if (!said)
    return std::unexpected(with_size(std::move(said.error()), s.tree.get()));
  // It has ended and cannot have forked, so nothing writes there any more. Its report is not
  // enough: it read what a stranger wrote.
  const auto seen = TRY(verify_tree(s.job.tree, s.owner.uid, s.job.limits));
  if (seen.files != said->files || seen.directories != said->directories ||
      seen.links != said->links || seen.bytes != said->bytes)
    return fail(Code::corrupt,
        cat("the stager reported ", said->files, " files, ", said->directories, " folders, ",
            said->links, " links, but there are ", seen.files, ", ", seen.directories, ", ",
            seen.links));
  said->stamp = TRY(take(s.job.tree, {geteuid(), getegid()}));
  s.attempt.keep();
  return said;
}

Result<StageStats> stage(StageJob job, const SecretBytes& file_key) {
  return TRY(Stager::start(std::move(job)))->run(file_key);
}

} // namespace chillbox::artifact
