// `chillboxctl help TOPIC`. tests/cli/help_test.cpp compares the tables with the program and with
// chillboxctl(1).
#include "cli/core/help.hpp"

#include "base/error.hpp"
#include "base/text.hpp"

#include <array>
#include <map>

namespace chillbox::cli {
namespace {

constexpr std::array k_meanings{
    std::pair{1, "it failed; the message says why"},
    std::pair{2, "the command line is wrong"},
    std::pair{3, "no such site, version, job or file"},
    std::pair{4, "refused: signature, permission, passphrase"},
    std::pair{5, "the host or its daemon does not answer"},
    std::pair{6, "the host must be unlocked first"},
    std::pair{7, "on hold, in conflict with something else, or too early"},
    std::pair{8, "refused before anything was changed"},
    std::pair{9, "the new release failed its checks; the previous one stays live"},
    std::pair{10, "the release went live, failed, and was rolled back automatically"},
    std::pair{11, "the hosts did not all end the same way"},
    std::pair{20, "plan or nginx diff with --exit-code: something would change"},
    std::pair{124, "timed out; the job keeps running"},
    std::pair{130, "Ctrl-C; the job keeps running"},
};

std::string exit_codes() {
  std::map<int, std::string> names;
  for (int i = 0; i <= static_cast<int>(Code::changed); ++i) {
    std::string& all = names[exit_code(static_cast<Code>(i))];
    all += cat(all.empty() ? "" : ", ", code_name(static_cast<Code>(i)));
  }
  std::string out = "Every command but `run` ends with one of these; in brackets the names in\n"
                    "--json. `run` ends with the code of its command: `help run`.\n\n    0  done\n";
  for (const auto& [code, meaning] : k_meanings) {
    const std::string number = std::to_string(code);
    out += cat(std::string(5 - number.size(), ' '), number, "  ", meaning, "\n",
        std::string(7, ' '), "(", names[code], ")\n");
  }
  return out;
}

std::string environment_topic() {
  return R"(CHILLBOX_HOST
    The default of -H: which host a command is for.
CHILLBOX_ENV
    The environment of chillbox.toml, if -e names none.
CHILLBOX_SOCKET
    The control socket to use instead of /run/chillbox/control.sock.
NO_COLOR, CLICOLOR, CLICOLOR_FORCE, TERM, CI
    NO_COLOR, CLICOLOR=0 and TERM=dumb turn colours off, and CLICOLOR_FORCE=1
    turns them on. If CI is set, no line is overwritten.
SOURCE_DATE_EPOCH
    The time of the files in an artifact, in seconds since 1970.
VISUAL, EDITOR
    The editor of `secrets edit`.
XDG_CONFIG_HOME, XDG_CACHE_HOME, XDG_STATE_HOME, XDG_RUNTIME_DIR
    Where the laptop keeps what it remembers: `chillboxctl help files`.

No passphrase and no key is ever read from the environment.
)";
}

std::string files_topic() {
  return R"(On the laptop, in folders that only you can enter:
  ~/.config/chillbox/config.toml        what holds for all projects
  ~/.config/chillbox/keys/NAME.key      your key, encrypted, and NAME.pub
  ~/.config/chillbox/hosts/NAME.toml    what is known of a host; no secret in it
  ~/.cache/chillbox                     packages and artifacts; may be deleted
  ~/.local/state/chillbox               what was deployed from where
In the project, committed:
  SITE.site.json or SITE.site.toml      what the site is
  chillbox.toml                         its hosts and environments
  secrets/SITE.age, SITE.ENV.age        its secrets, encrypted
  secrets/people.txt                    for whom they are encrypted
On the host:
  /etc/chillbox/chillboxd.toml          the configuration of chillboxd
  /etc/chillbox/trusted/NAME.pub        whose signatures are accepted
  /etc/chillbox/webhooks/NAME.key       who may announce by webhook
  /var/lib/chillbox/identity.age        the host key, encrypted
  /var/lib/chillbox/recipient.txt       its public half
  /var/lib/chillbox/identity.recovery.age
                                        the host key for the recovery words
  /var/log/chillbox/SITE                logs of its services and of runs
  /run/chillbox/control.sock            where chillboxctl talks to chillboxd
)";
}

std::string threat_model() {
  return R"(What each can do at most. agent/DESIGN.md has the whole table.

  a stranger            keep the web server busy
  a webhook key         announce to its sites; what goes live must be signed
  your signing key      what a deployer may: run code as the site's user
  a stolen, locked disk read releases, data and the keys of certificates; no
                        secret, and not the host key
  a stolen laptop       what its ssh keys and a running agent allow; the key of
                        releases has a passphrase. Take it off each host with
                        `trust remove`, and rotate secrets
  a site's own code     its own data and secrets, nothing of other sites
  root on the host      read everything while the host is unlocked
)";
}

} // namespace

std::span<const Topic> help_topics() {
  static constexpr std::array k_topics{
      Topic{"exit-codes", "what the exit code of a command says", exit_codes},
      Topic{"environment", "the variables that are read", environment_topic},
      Topic{"files", "what lies where", files_topic},
      Topic{"threat-model", "what an attacker can do", threat_model},
  };
  return k_topics;
}

} // namespace chillbox::cli
