// Options that several verbs have.
#pragma once

#include "cli/core/verb.hpp"

namespace chillbox::cli {

inline constexpr Option k_site{"SITE", ArgKind::site, "", "name of the site"};
inline constexpr std::array k_only_site{k_site};
// Without it: the site of the project that the command is run in (laptop/defaults.hpp).
inline constexpr Option k_project_site{
    "[SITE]", ArgKind::site, "", "name of the site (default: the project's)", false, true};
inline constexpr Option k_project_target{"[SITE[/SERVICE]]", ArgKind::target, "",
    "the site, or one of its services (default: the project's site)", false, true};
inline constexpr Option k_site_or_all{"[SITE]", ArgKind::site, "", "only this site"};
inline constexpr Option k_target{
    "SITE[/SERVICE]", ArgKind::target, "", "the site, or one of its services"};
inline constexpr Option k_no_wait{"--no-wait", ArgKind::flag, "", "do not wait for the job's end"};
inline constexpr Option k_no_watch{
    "--no-watch", ArgKind::flag, "", "skip the watch after the switch and the automatic rollback"};
inline constexpr Option k_limit{"-n,--lines", ArgKind::number, "N", "show this many, the newest"};
inline constexpr Option k_follow{"-f,--follow", ArgKind::flag, "", "follow as more is written"};
inline constexpr Option k_recipients{"-r,--recipient", ArgKind::list, "AGE1..[,..]",
    "encrypt to this host (its recipient.txt); may be repeated; this or -R is required"};
inline constexpr Option k_recipients_file{
    "-R,--recipients-file", ArgKind::text, "FILE", "encrypt to all hosts in FILE, one per line"};
inline constexpr Option k_key{
    "-k,--key", ArgKind::text, "KEY", "sign with this minisign secret key (default: your own)"};
inline constexpr Option k_outdir{
    "-o,--output", ArgKind::text, "OUTDIR", "where the artifact and its .minisig go (required)"};
inline constexpr Option k_key_output{"-o,--output", ArgKind::text, "FILE",
    "write the key to FILE, which is made for you alone; with -H on this machine"};
inline constexpr Option k_serial{"--serial", ArgKind::number, "N",
    "serial of the artifact (default: minutes since 1970, and newer than any in OUTDIR)"};
inline constexpr Option k_for{"--for", ArgKind::list, "USER@HOST[,..]",
    "ask these hosts by ssh which serial they have, and be newer than that"};
inline constexpr Option k_expires{"--expires", ArgKind::text, "TIME",
    "hosts refuse it after this: 30d, 2026-11-20, 2026-11-20T17:33:34Z"};
inline constexpr Option k_armor{
    "-a,--armor", ArgKind::flag, "", "write text, a third larger, instead of bytes"};
inline constexpr Option k_passphrase_fd{"--passphrase-fd", ArgKind::fd, "N",
    "read the passphrase from descriptor N, up to the end of its first line"};

inline constexpr Option k_yes{"-y,--yes", ArgKind::flag, "", "do not ask"};
// Of verbs that run here and are for a host: it is not run there.
inline constexpr Option k_to_host{
    "-H,--host", ArgKind::list, "NAME[,..]", "to this host: a name of `hosts`, or USER@HOST"};
inline constexpr Option k_env{
    "-e,--env", ArgKind::text, "NAME", "as [env.NAME] of chillbox.toml has it (or CHILLBOX_ENV)"};

} // namespace chillbox::cli
