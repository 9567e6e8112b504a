// The examples of help, one table: tests/cli/help_test.cpp reads each line as the program would.
#include "cli/core/help.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace chillbox::cli {
namespace {

using Row = std::pair<std::string_view, std::string_view>;

constexpr std::array k_examples{
    // The laptop
    Row{"setup", "chillboxctl setup root@web1.example"},
    Row{"keygen", "chillboxctl keygen -o deployer"},
    Row{"new", "chillboxctl new hello --kind static"},
    Row{"validate", "chillboxctl validate hello"},
    Row{"pack", "chillboxctl pack hello -R recipient.txt -k deployer.key -o out"},
    Row{"secrets pack",
        "chillboxctl secrets pack secrets -s hello -R recipient.txt -k deployer.key -o out"},
    Row{"secrets list", "chillboxctl secrets list"},
    Row{"secrets set", "chillboxctl secrets set DB_URL"},
    Row{"secrets edit", "chillboxctl secrets edit web/web.env"},
    Row{"secrets import", "chillboxctl secrets import web/web.env"},
    Row{"secrets unset", "chillboxctl secrets unset DB_URL"},
    Row{"secrets diff", "chillboxctl secrets diff"},
    Row{"secrets rotate", "chillboxctl secrets rotate SECRET_KEY"},
    Row{"secrets push", "chillboxctl secrets push"},
    Row{"facts", "chillboxctl -H web1 facts hello"},
    Row{"deploy",
        "chillboxctl deploy\nchillboxctl deploy -e staging\nchillboxctl deploy out/hello-0.2.0.tar.zst.age --to https://web1.example --webhook-key hook.key --wait"},
    Row{"ci add", "chillboxctl ci add hello -H web1\nchillboxctl ci add hello -H web1 --github"},
    Row{"approve",
        "chillboxctl approve 3f2a1c9 --digest 8b1f4c5dbbcf7a03a1b7ef2bb4c63d1a04de6c4f5f3b4c8c7cf1b1f2d3e4a5b6 -H web1"},
    Row{"move", "chillboxctl move hello --from web1 --to web2"},
    Row{"open", "chillboxctl open"},
    Row{"ci list", "chillboxctl ci list"},
    Row{"ci remove", "chillboxctl ci remove hello -H web1"},
    Row{"passphrase", "chillboxctl passphrase"},
    Row{"agent status", "chillboxctl agent status"},
    Row{"agent lock", "chillboxctl agent lock"},
    Row{"recover", "chillboxctl -H root@web1 recover"},
    Row{"recover words", "chillboxctl -H root@web1 recover words"},
    Row{"hosts", "chillboxctl hosts"},
    Row{"hosts list", "chillboxctl hosts list"},
    Row{"hosts remove", "chillboxctl hosts remove web2"},
    Row{"whoami", "chillboxctl whoami"},
    Row{"config get", "chillboxctl config get"},
    Row{"config set", "chillboxctl config set host web1\nchillboxctl config set agent_idle 1h"},
    Row{"join", "chillboxctl join web1.example\nchillboxctl join web1.example --ssh-key"},
    Row{"undo", "chillboxctl -H web1 undo hello"},
    Row{"bootstrap", "chillboxctl bootstrap --trust deployer.pub >user-data"},
    Row{"completion", "chillboxctl completion bash"},
    // The host: set-up
    Row{"init", "chillboxctl init"},
    Row{"trust add", "chillboxctl -H root@web1 trust add deployer.pub --sites hello,blog"},
    Row{"trust list", "chillboxctl -H root@web1 trust list"},
    Row{"trust remove", "chillboxctl -H root@web1 trust remove kim"},
    Row{"trust keep", "chillboxctl -H root@web1 trust keep hello"},
    Row{"people add",
        "chillboxctl people add kim --key kim.pub --sites hello -H web1\nchillboxctl people add ada --key ~/.ssh/id_ed25519.pub --sites blog -H web1\nchillboxctl people add max --key github:max --role look -H web1"},
    Row{"people list", "chillboxctl people list -H web1"},
    Row{"people remove", "chillboxctl people remove kim -H web1"},
    Row{"webhook add",
        "chillboxctl -H root@web1 webhook add ci --sites hello --types site.deploy -o hook.key"},
    Row{"webhook list", "chillboxctl -H root@web1 webhook list"},
    Row{"webhook rotate", "chillboxctl -H root@web1 webhook rotate ci -o hook.key"},
    Row{"webhook remove", "chillboxctl -H root@web1 webhook remove ci"},
    Row{"unlock", "chillboxctl -H root@web1 unlock"},
    Row{"lock", "chillboxctl -H root@web1 lock"},
    // The host: state
    Row{"status", "chillboxctl -H root@web1 status"},
    Row{"sites", "chillboxctl -H root@web1 sites"},
    Row{"releases", "chillboxctl -H root@web1 releases hello"},
    Row{"snapshots", "chillboxctl -H root@web1 snapshots hello"},
    Row{"jobs", "chillboxctl -H root@web1 jobs hello -n 5"},
    Row{"job", "chillboxctl -H root@web1 job 1a22025c -f"},
    Row{"plan", "chillboxctl -H root@web1 plan out/hello-0.2.0.tar.zst.age"},
    Row{"nginx show", "chillboxctl -H root@web1 nginx show hello"},
    Row{"nginx diff", "chillboxctl -H root@web1 nginx diff hello out/hello-0.2.0.tar.zst.age"},
    Row{"logs",
        "chillboxctl -H root@web1 logs hello/web -n 100\nchillboxctl -H root@web1 logs hello -f\n"
        "chillboxctl -H web1,web2 logs hello -s 42m -g 'Traceback|Error'"},
    Row{"report jobs", "chillboxctl -H root@web1 report jobs -s 90d --csv >jobs.csv"},
    Row{"cron list", "chillboxctl -H root@web1 cron list hello"},
    Row{"cron history", "chillboxctl -H root@web1 cron history hello -n 10"},
    Row{"cron run", "chillboxctl -H root@web1 cron run hello 1"},
    Row{"run",
        "chillboxctl -H root@web1 run hello/web -- flask db current\nchillboxctl -H root@web1 run hello -- sh"},
    Row{"runs list", "chillboxctl -H root@web1 runs list hello"},
    Row{"runs show", "chillboxctl -H root@web1 runs show 12"},
    Row{"runs attach", "chillboxctl -H root@web1 runs attach 12"},
    Row{"runs stop", "chillboxctl -H root@web1 runs stop 12"},
    Row{"tls", "chillboxctl -H root@web1 tls hello"},
    Row{"tls check", "chillboxctl -H root@web1 tls check hello"},
    Row{"tls account", "chillboxctl -H root@web1 tls account"},
    Row{"tls renew", "chillboxctl -H root@web1 tls renew hello"},
    Row{"tls revoke", "chillboxctl -H root@web1 tls revoke hello"},
    Row{"audit", "chillboxctl -H root@web1 audit -n 50"},
    Row{"audit verify", "chillboxctl -H root@web1 audit verify"},
    Row{"doctor", "chillboxctl -H root@web1 doctor"},
    Row{"ping", "chillboxctl -H root@web1 ping"},
    // The host: changes
    Row{"rollback",
        "chillboxctl -H root@web1 rollback hello\nchillboxctl -H root@web1 rollback hello 0.1.0"},
    Row{"restart", "chillboxctl -H root@web1 restart hello"},
    Row{"stop", "chillboxctl -H root@web1 stop hello"},
    Row{"start", "chillboxctl -H root@web1 start hello"},
    Row{"maintenance on", "chillboxctl -H root@web1 maintenance on hello"},
    Row{"drain", "chillboxctl -H root@web1 drain --wait 30s"},
    Row{"undrain", "chillboxctl -H root@web1 undrain"},
    Row{"notify add", "chillboxctl -H root@web1 notify add phone ntfy --severity warning"},
    Row{"notices", "chillboxctl -H root@web1 notices"},
    Row{"notify list", "chillboxctl -H root@web1 notify list"},
    Row{"notify retry", "chillboxctl -H root@web1 notify retry phone"},
    Row{"backup list", "chillboxctl -H root@web1 backup list"},
    Row{"backup create", "chillboxctl -H root@web1 backup create hello"},
    Row{"backup verify", "chillboxctl -H root@web1 backup verify hello"},
    Row{"metrics", "chillboxctl -H root@web1 metrics"},
    Row{"notify remove", "chillboxctl -H root@web1 notify remove phone"},
    Row{"notify test", "chillboxctl -H root@web1 notify test phone"},
    Row{"notify post", "chillboxctl notify post imported"},
    Row{"metrics token", "chillboxctl -H root@web1 metrics token add prometheus"},
    Row{"maintenance off", "chillboxctl -H root@web1 maintenance off hello"},
    Row{"remove", "chillboxctl -H root@web1 remove hello"},
    Row{"retry", "chillboxctl -H root@web1 retry 1a22025c"},
    Row{"hold", "chillboxctl -H root@web1 hold hello -m \"the database is moved, ask Kim\""},
    Row{"release-hold", "chillboxctl -H root@web1 release-hold hello"},
    Row{"withdraw", "chillboxctl -H root@web1 withdraw hello 0.2.0"},
    Row{"secrets withdraw", "chillboxctl -H root@web1 secrets withdraw hello"},
    Row{"prune", "chillboxctl -H root@web1 prune"},
    Row{"reload", "chillboxctl -H root@web1 reload"},
    Row{"upgrade", "chillboxctl -H root@web1 upgrade"},
};

} // namespace

std::string_view examples_of(std::string_view verb) {
  const auto found = std::ranges::find(k_examples, verb, &Row::first);
  return found == k_examples.end() ? std::string_view() : found->second;
}

} // namespace chillbox::cli
