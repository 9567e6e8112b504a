#include "cli/laptop/remote_ctl.hpp"

#include "base/text.hpp"
#include "cli/fleet/host_answers.hpp"

namespace chillbox::cli {
namespace {

std::unexpected<Error> refused(const std::string& host, const RemoteShell::Ran& ran) {
  const auto lines = split(trim(ran.err), '\n');
  std::string_view why = lines.empty() ? "" : trim(lines.front());
  for (const auto line : lines)
    if (line.starts_with("chillboxctl: "))
      why = line.substr(13);
  return fail(code_of_exit(ran.code),
      cat(host, ": ",
          why.empty() ? cat("chillboxctl ended with ", ran.code) : printable(why, 500)));
}

} // namespace

Code code_of_exit(int exit) {
  for (const Code known :
      {Code::denied, Code::not_found, Code::conflict, Code::sealed, Code::unreachable, Code::usage,
          Code::preflight, Code::unhealthy, Code::rolled_back, Code::timed_out})
    if (exit == exit_code(known))
      return known;
  return Code::failure;
}

std::string_view answer_in(std::string_view out) {
  out = trim(out);
  const auto end = out.rfind('\n');
  return end == out.npos ? out : trim(out.substr(end + 1));
}

Result<RemoteCtl> RemoteCtl::open(const Places& places, Target target) {
  TRY(make_private_dir(places.runtime));
  auto shell = TRY(RemoteShell::create(target.host.target, places.runtime));
  return RemoteCtl(std::move(target), std::move(shell));
}

Result<RemoteShell::Ran> RemoteCtl::command(std::vector<std::string> words) {
  words.insert(words.begin(), {"env", "CHILLBOX_HOST=", "chillboxctl"});
  return m_shell.command(words);
}

Result<std::string> RemoteCtl::run(std::vector<std::string> words) {
  auto ran = TRY(command(std::move(words)));
  if (ran.code != 0)
    return refused(name(), ran);
  return std::move(ran.out);
}

Result<std::string> RemoteCtl::answer(std::vector<std::string> words) {
  auto ran = TRY(command(std::move(words)));
  if (!is_answer(ran.code, answer_in(ran.out)))
    return refused(name(), ran);
  return std::move(ran.out);
}

} // namespace chillbox::cli
