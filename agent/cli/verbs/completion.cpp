// completion: prints the script for a shell. The script calls `chillboxctl __complete`, which is
// here too.
#include "cli/core/answer_table.hpp"
#include "cli/core/answers.hpp"
#include "cli/core/complete.hpp"
#include "cli/core/daemon.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"
#include "cli/fleet/ssh.hpp"
#include "cli/laptop/target.hpp"

#include "base/text.hpp"

#include <array>

namespace chillbox::cli {
namespace {

constexpr std::array k_completion_options{
    Option{"SHELL", ArgKind::choice, "bash|zsh|fish", "for which shell"}};

constexpr std::chrono::milliseconds k_completion_patience{1'000};
constexpr std::chrono::milliseconds k_patience_for_ssh{4'000};
constexpr uint64_t k_jobs_offered = 20;

// bash splits words also at = : @ and replaces only what follows the last of them.
constexpr std::string_view k_bash =
    R"sh(# bash completion for chillboxctl: the program itself is asked what fits.
_chillboxctl() {
  local rest=$COMP_LINE word gap words=() last=-1 cur prefix line i
  for ((i = 0; i <= COMP_CWORD; i++)); do
    word=${COMP_WORDS[i]}
    gap=${rest%%"$word"*}
    rest=${rest#"$gap"}
    rest=${rest#"$word"}
    if [[ $i -gt 1 && -z $gap && -n $word ]]; then words[last]+=$word; else words[++last]=$word; fi
  done
  cur=${COMP_WORDS[COMP_CWORD]}
  [[ $cur != [=:@]* ]] || cur=
  prefix=${words[last]%"$cur"}
  COMPREPLY=()
  while IFS=$'\t' read -r line _; do
    case $line in
      :files) compopt -o default ;;
      :words) ;;
      *) COMPREPLY+=("${line#"$prefix"}") ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete "${words[@]:1}" 2>/dev/null)
}
complete -F _chillboxctl chillboxctl chillbox)sh";

constexpr std::string_view k_zsh = R"sh(#compdef chillboxctl chillbox
# zsh completion for chillboxctl: the program itself is asked what fits.
_chillboxctl() {
  local -a lines described
  local line
  lines=("${(@f)$("${words[1]}" __complete "${(Q@)words[2,CURRENT]}" 2>/dev/null)}")
  for line in "${(@)lines[2,-1]}"; do
    described+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  (( ! $#described )) || _describe -t values chillboxctl described
  [[ $lines[1] != :files ]] || _files
}
if [[ $funcstack[1] == _chillboxctl ]]; then
  _chillboxctl "$@"
else
  compdef _chillboxctl chillboxctl chillbox
fi)sh";

constexpr std::string_view k_fish =
    R"sh(# fish completion for chillboxctl: the program itself is asked what fits.
function __chillboxctl_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l lines ($words[1] __complete $words[2..-1] 2>/dev/null)
    string join \n -- $lines[2..-1]
    test "$lines[1]" = :files; and __fish_complete_path (commandline -ct)
end
complete -c chillboxctl -f -a '(__chillboxctl_complete)'
complete -c chillbox -w chillboxctl)sh";

struct ShellScript {
  std::string_view shell, text;
};
constexpr std::array k_scripts{
    ShellScript{"bash", k_bash}, ShellScript{"zsh", k_zsh}, ShellScript{"fish", k_fish}};

std::vector<Candidate> sites(const os::Paths& paths, bool services) {
  std::vector<Candidate> out;
  const auto answer = ask(paths, {.verb = "status", .timeout = k_completion_patience});
  const auto status = control::read_answer<control::Status>(answer.value_or(""));
  if (!status)
    return out;
  for (const auto& site : status->sites) {
    out.push_back(
        {site.site, cat(site.version, site.version.empty() ? "" : ", ", name(site.state))});
    if (services)
      for (const auto& service : site.services)
        out.push_back(
            {cat(site.site, "/", service.name), cat(service.lang, ", ", name(service.state))});
  }
  return out;
}

// Those that a rollback takes, or all that can still be taken out of its way.
std::vector<Candidate> releases(const os::Paths& paths, const std::string& site, bool all) {
  std::vector<Candidate> out;
  const auto answer = ask(paths,
      {.verb = "releases",
          .args = {.site = site, .limit = k_default_releases},
          .timeout = k_completion_patience});
  if (const auto list = control::read_answer<control::ReleaseList>(answer.value_or("")))
    for (const auto& release : list->releases) {
      if (!is_kept(release.state) || release.withdrawn ||
          (!all && (release.live || !release.distrust.empty())))
        continue;
      const std::string state(release.live ? "live" : name(release.state));
      out.push_back({release.version, cat(release.id, ", ", state)});
      out.push_back({release.id, state});
    }
  return out;
}

std::vector<Candidate> jobs(const os::Paths& paths) {
  std::vector<Candidate> out;
  const auto answer = ask(paths,
      {.verb = "jobs",
          .args = {.site = "", .limit = k_jobs_offered},
          .timeout = k_completion_patience});
  if (const auto list = control::read_answer<control::JobList>(answer.value_or("")))
    for (const auto& job : list->jobs)
      out.push_back({job.id, cat(name(job.kind), " ", job.site.str(), " ", name(job.state))});
  return out;
}

std::vector<Candidate> names(const std::string& dir, std::string_view suffix) {
  std::vector<Candidate> out;
  if (const auto found = names_in(dir, suffix))
    for (const std::string& name : *found)
      out.push_back({name, ""});
  return out;
}

std::vector<Candidate> values_here(ArgKind kind, const std::string& site) {
  const os::Paths paths = os::Paths::from_environment();
  switch (kind) {
  case ArgKind::site:
  case ArgKind::target: return sites(paths, kind == ArgKind::target);
  case ArgKind::certificate: {
    auto all = sites(paths, false);
    all.push_back({std::string(control::k_host_certificate), "this host's own name"});
    return all;
  }
  case ArgKind::release: return releases(paths, site, false);
  case ArgKind::any_release: return releases(paths, site, true);
  case ArgKind::job: return jobs(paths);
  case ArgKind::deployer: return names(paths.trusted(), ".pub");
  case ArgKind::sender: return names(paths.webhooks(), ".key");
  default: return {};
  }
}

// Completing the first verb that has a position of this kind on the host gives the values.
std::vector<std::string> question_there(const Wanted& wanted) {
  for (const Verb& verb : verbs())
    for (const Option& option : verb.options)
      if (is_position(option) && option.kind == wanted.kind) {
        std::vector<std::string> words{"__complete"};
        for (const auto word : split(verb.name, ' '))
          words.emplace_back(word);
        if (wanted.kind == ArgKind::release || wanted.kind == ArgKind::any_release)
          words.push_back(wanted.site);
        words.emplace_back();
        return words;
      }
  return {};
}

std::vector<Candidate> values_there(const std::string& host, const Wanted& wanted) {
  std::vector<Candidate> out;
  const auto target = target_named(Places::find(), host);
  const auto answer = target ? run_quietly(target->host, question_there(wanted), k_patience_for_ssh)
                             : Result<std::string>(std::unexpected(target.error()));
  if (!answer)
    return out;
  for (const auto line : split(*answer, '\n'))
    if (const auto tab = line.find('\t'); tab != std::string_view::npos && !line.starts_with(':'))
      out.push_back({std::string(line.substr(0, tab)), std::string(line.substr(tab + 1))});
  return out;
}

Result<void> run_completion(Call& call) {
  const std::string shell = call.args.text("SHELL");
  for (const ShellScript& script : k_scripts)
    if (script.shell == shell)
      call.terminal.print(call.terminal.json()
              ? answer_text(
                    "completion", cli::Script{.script = std::string(script.text), .shell = shell})
              : std::string(script.text));
  return {};
}

} // namespace

int run_complete(const std::vector<std::string>& words) {
  const Completion completion = complete(words, [](const Wanted& wanted) {
    std::string host = wanted.hosts.empty() ? environment("CHILLBOX_HOST") : wanted.hosts.front();
    host = host.substr(0, host.find(','));
    return host.empty() || host.starts_with('-') ? values_here(wanted.kind, wanted.site)
                                                 : values_there(host, wanted);
  });
  Terminal terminal({});
  terminal.print(completion.files ? ":files" : ":words");
  for (const Candidate& candidate : completion.candidates)
    terminal.print(cat(printable(candidate.text), "\t", printable(candidate.help)));
  return 0;
}

extern constinit const Verb k_completion{"completion", Group::laptop, Where::both,
    "print the completion script for a shell", k_completion_options, run_completion};

} // namespace chillbox::cli
