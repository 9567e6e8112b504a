#include "cli/laptop/git_remote.hpp"

#include "base/fd.hpp"
#include "base/text.hpp"
#include "cli/core/program.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/git.hpp"
#include "cli/laptop/target.hpp"
#include "control/messages.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <utility>

namespace chillbox::cli {
namespace {

constexpr std::chrono::milliseconds k_git_patience{30'000};

void say(std::string_view text) {
  std::cerr << "chillbox: " << text << '\n';
}

// The protocol has standard input and output; a deploy has the terminal, and writes to standard
// error.
class StreamsOfDeploy {
public:
  StreamsOfDeploy() : m_in(::dup(STDIN_FILENO)), m_out(::dup(STDOUT_FILENO)) {
    std::cout.flush();
    const Fd terminal(::open("/dev/tty", O_RDWR | O_CLOEXEC));
    const Fd nothing(::open("/dev/null", O_RDONLY | O_CLOEXEC));
    ::dup2(terminal ? terminal.get() : nothing.get(), STDIN_FILENO);
    ::dup2(STDERR_FILENO, STDOUT_FILENO);
  }
  ~StreamsOfDeploy() {
    ::dup2(m_in.get(), STDIN_FILENO);
    ::dup2(m_out.get(), STDOUT_FILENO);
  }
  StreamsOfDeploy(const StreamsOfDeploy&) = delete;
  StreamsOfDeploy& operator=(const StreamsOfDeploy&) = delete;

private:
  Fd m_in, m_out;
};

struct Remote {
  std::string host, site, top; // top: of the work tree
};

// The folder of the site in this repository.
Result<std::string> folder_of(Git& git, const Remote& remote) {
  const std::string file = cat(":(top,glob)**/", remote.site, ".site.");
  const auto files = git({"ls-files", "--full-name", "-z", "--", file + "json", file + "toml"});
  if (!files)
    return fail(Code::failure, git.said);
  std::vector<std::string> found;
  for (const auto path : split(*files, '\0'))
    if (!path.empty())
      found.push_back(std::filesystem::path(std::string(path)).parent_path());
  if (found.size() != 1)
    return fail(Code::not_found,
        cat("the repository has ", found.empty() ? "no" : "more than one", " ", remote.site,
            ".site.json or .site.toml"));
  return cat(remote.top, found[0].empty() ? "" : "/", found[0]);
}

// What is live there, as a commit here. "" : nothing is, or no commit can be made of its version.
Result<std::string> live_commit(Git& git, const Remote& remote) {
  const auto target = TRY(target_named(Places::find(), remote.host));
  const auto text =
      TRY(run_quietly(target.host, {"facts", "--json", "--", remote.site}, k_git_patience));
  const auto facts = TRY_IN(remote.host, control::read_answer<control::Facts>(text));
  const std::string version = facts.site ? facts.site->version : "";
  const std::string short_hash = commit_in_version(version);
  for (const std::string& name :
      {short_hash, cat("refs/tags/", version), cat("refs/tags/v", version)})
    if (!name.empty() && !version.empty())
      if (auto hash = git({"rev-parse", "--verify", "--quiet", name + "^{commit}"}))
        return std::move(*hash);
  if (!short_hash.empty())
    return fail(Code::conflict,
        cat("live is commit ", short_hash,
            ", which is not in this repository: git pull first, or "
            "push with --force"));
  return std::string();
}

Result<void> check_forward(Git& git, const Remote& remote, const std::string& commit) {
  const std::string live = TRY(live_commit(git, remote));
  if (live.empty() || git({"merge-base", "--is-ancestor", live, commit}))
    return {};
  return fail(Code::conflict,
      cat("not forward from what is live, commit ", live.substr(0, 7),
          ": git pull first, or push with --force"));
}

Result<void> push(const Remote& remote, const GitPush& what) {
  if (!what.to.starts_with("refs/heads/"))
    return fail(Code::usage, "only a branch is deployed");
  Git git(remote.top, os::real_runner());
  const auto commit = git({"rev-parse", "--verify", "--quiet", what.from + "^{commit}"});
  if (!commit)
    return fail(Code::not_found, cat("no commit ", printable(what.from, 100)));
  const std::string folder = TRY(folder_of(git, remote));
  if (!what.forced)
    TRY(check_forward(git, remote, *commit));
  const StreamsOfDeploy streams;
  std::vector<std::string> words{"deploy", "--commit", *commit, "-H", remote.host};
  if (what.forced)
    words.emplace_back("--yes");
  words.insert(words.end(), {"--", folder});
  const int code = run_program(words);
  if (code != 0)
    return fail(Code::failure, cat("the deploy failed, exit ", code));
  return {};
}

void push_all(const Remote& remote, const std::vector<GitPush>& all) {
  for (const GitPush& one : all) {
    const auto done = all.size() == 1
        ? push(remote, one)
        : Result<void>(fail(Code::usage, "push one branch: a host has one release of a site"));
    std::cout << (done ? cat("ok ", one.to)
                       : cat("error ", one.to, " ", printable(done.error().message, 300)))
              << '\n';
  }
  std::cout << '\n' << std::flush;
}

Result<Remote> remote_of(const std::vector<std::string>& words) {
  const std::string address = words.empty() ? "" : words.back();
  const auto slash = address.rfind('/');
  Remote remote;
  if (slash != std::string::npos) {
    remote.host = address.substr(0, slash);
    remote.site = address.substr(slash + 1);
  }
  if (remote.host.empty() || !SiteName::parse(remote.site))
    return fail(Code::usage,
        cat("'chillbox::", printable(address, 200),
            "' is not chillbox::HOST/SITE: git remote set-url ",
            printable(words.empty() ? "live" : words.front(), 80), " chillbox::web1/hello"));
  std::error_code ignored;
  Git git(std::filesystem::current_path(ignored), os::real_runner());
  const auto top = git({"rev-parse", "--show-toplevel"});
  if (!top)
    return fail(Code::usage, cat("push from a work tree: ", git.said));
  remote.top = *top;
  return remote;
}

// Of the repository that git pushes from: what a deploy runs has its own.
void forget_repository() {
  for (const char* name : {"GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX",
           "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"})
    ::unsetenv(name);
}

} // namespace

GitPush parse_git_push(const std::string& text) {
  GitPush push;
  push.forced = text.starts_with('+');
  const auto colon = text.rfind(':');
  const size_t begin = push.forced ? 1 : 0;
  if (colon == std::string::npos || colon < begin)
    return {push.forced, text.substr(begin), text.substr(begin)};
  push.from = text.substr(begin, colon - begin);
  push.to = text.substr(colon + 1);
  return push;
}

std::string commit_in_version(const std::string& version) {
  const auto at = version.find("+g");
  if (at == std::string::npos)
    return "";
  const std::string rest = version.substr(at + 2);
  const std::string hash = rest.substr(0, rest.find_first_not_of("0123456789abcdef"));
  return hash.size() < 7 ? "" : hash;
}

int run_git_remote(const std::vector<std::string>& words) {
  forget_repository();
  const auto remote = remote_of(words);
  if (!remote) {
    say(remote.error().message);
    return 1;
  }
  std::vector<GitPush> pushes;
  for (std::string line; std::getline(std::cin, line);) {
    if (line == "capabilities") {
      std::cout << "push\n\n" << std::flush;
    } else if (line == "list for-push") {
      std::cout << '\n' << std::flush; // push() itself looks what is live
    } else if (line.starts_with("push ")) {
      pushes.push_back(parse_git_push(line.substr(5)));
    } else if (line.empty()) {
      if (pushes.empty())
        return 0;
      push_all(*remote, std::exchange(pushes, {}));
    } else {
      say("a host has no repository: this remote is only for git push");
      return 1;
    }
  }
  return 0;
}

} // namespace chillbox::cli
