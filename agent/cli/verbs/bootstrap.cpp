// bootstrap: prints user-data for the first boot of a fresh image. It has no secret; a person runs
// `chillboxctl init` afterwards and types the passphrase.
#include "cli/core/answers.hpp"
#include "cli/core/file_input.hpp"
#include "cli/core/host_setup.hpp"
#include "cli/core/options.hpp"
#include "cli/core/terminal.hpp"

#include "base/encoding.hpp"
#include "base/names.hpp"
#include "base/text.hpp"
#include "crypto/signing_key.hpp"

#include <filesystem>

namespace chillbox::cli {
namespace {

constexpr std::array k_bootstrap_options{
    Option{"--trust", ArgKind::list, "KEY.pub[,..]", "trust these deployers from the start"},
    Option{"--package", ArgKind::list, "PACKAGE[,..]",
        "install these: names, URLs or paths for apk, or a .tar of `make install` (default: chillbox,python3)"},
    Option{"--repository", ArgKind::text, "URL",
        "have apk look for them there, now and at each upgrade: what `make repo` made"},
    Option{"--apk-key", ArgKind::list, "KEY.rsa.pub[,..]",
        "public keys that signed these packages, or the repository"},
};

constexpr std::string_view k_begin = R"sh(#!/bin/sh
# user-data: turns a fresh image into a chillbox host. Safe to run twice.
set -eu
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

say() { printf 'chillbox bootstrap: %s\n' "$*"; }

apk_key() { # NAME TEXT
  mkdir -p /etc/apk/keys
  printf '%s\n' "$2" >"/etc/apk/keys/$1"
}

apk_repository() { # URL OR PATH
  grep -qxF -- "$1" /etc/apk/repositories 2>/dev/null || printf '%s\n' "$1" >>/etc/apk/repositories
}

install_all() { # NAME OR FILE...: a tar says of no package that it is needed
  names=
  for package in "$@"; do
    case $package in *.tar) names='nginx python3' ;; esac
  done
  for name in $names; do
    command -v "$name" >/dev/null || set -- "$@" "$name"
  done
  (
    for package in "$@"; do
      shift
      case $package in *.tar) ;; *) set -- "$@" "$package" ;; esac
    done
    [ $# -eq 0 ] || apk add --no-progress "$@"
  )
  for package in "$@"; do
    case $package in *.tar) tar -x -f "$package" -C / ;; esac
  done
}

install_packages() { # NAME, URL OR PATH, followed by #sha256=HEX if only those bytes are accepted...
  if command -v chillboxctl >/dev/null; then
    say 'already installed'
    return
  fi
  dir=$(mktemp -d)
  for package in "$@"; do
    sum=
    case $package in
      *'#sha256='*)
        sum=${package##*'#sha256='}
        package=${package%'#sha256='*}
        ;;
    esac
    case $package in
      http://* | https://*)
        file=${package%%\?*}
        wget -q -O "$dir/${file##*/}" "$package"
        package=$dir/${file##*/}
        ;;
    esac
    if [ -n "$sum" ] && ! printf '%s  %s\n' "$sum" "$package" | sha256sum -c >/dev/null 2>&1; then
      say "$package is not the file with sha256 $sum: nothing was installed" >&2
      exit 1
    fi
    shift
    set -- "$@" "$package"
  done
  install_all "$@"
  rm -rf -- "$dir"
}

# chillboxd itself can only start after init.
enable_services() {
  for service in nginx chillboxd; do
    rc-update -q add "$service" default
  done
  rc-service -q nginx start || say 'NGINX did not start: rc-service nginx start says why'
}

)sh";

constexpr std::string_view k_end = R"sh(enable_services
say "done; what remains is for a person: ssh -t root@HOST 'chillboxctl init && rc-service chillboxd start'"
)sh";

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

// A line `apk_key NAME TEXT`. A package's signature names the key by this name.
Result<std::string> apk_key_line(const std::string& file) {
  const std::string text = TRY(read_input(file, k_max_key_file));
  const std::string name = std::filesystem::path(file).filename().string();
  if (!text.starts_with("-----BEGIN PUBLIC KEY-----\n") ||
      text.find("PRIVATE") != std::string::npos || !name.ends_with(".rsa.pub"))
    return fail(Code::invalid,
        cat(printable(file, 1024), ": is not the public half of a key for apk, NAME.rsa.pub"));
  return cat("apk_key ", shell_quoted(name), " ", shell_quoted(trim(text)), "\n");
}

// apk checks the signature of a package, but nothing checks a tar, which is unpacked at /, or that
// a package over http:// is not an old one.
Result<void> check_package(const std::string& package) {
  constexpr std::string_view k_mark = "#sha256=";
  const size_t mark = package.rfind(k_mark);
  if (mark != std::string::npos) {
    if (!Digest::parse(std::string_view(package).substr(mark + k_mark.size())))
      return fail(Code::usage,
          cat("--package ", printable(package, 1024),
              ": #sha256= must be followed by 64 hex digits, as `sha256sum` prints them"));
    return {};
  }
  if (package.starts_with("http://"))
    return fail(Code::usage,
        cat("--package ", printable(package, 1024),
            ": anyone on the way can put another file there: use https://, or add #sha256=HEX"));
  if (std::string_view(package).substr(0, package.find('?')).ends_with(".tar"))
    return fail(Code::usage,
        cat("--package ", printable(package, 1024),
            ": a tar has no signature and is unpacked at /: add #sha256=HEX, as `sha256sum` prints it"));
  return {};
}

// Its index and its packages are signed, but that the index is the newest nobody signs.
Result<std::string> repository_line(const std::string& url) {
  if (!url.starts_with("https://") && !url.starts_with("/"))
    return fail(Code::usage,
        cat("--repository ", printable(url, 1024),
            ": must be an https:// URL, or a path on the host: anyone on the way could keep an old one there"));
  if (url.find_first_of(" \t\r\n#") != std::string::npos)
    return fail(Code::usage, cat("--repository ", printable(url, 1024), ": must be one word"));
  return cat("apk_repository ", shell_quoted(url), "\n");
}

Result<std::string> trust_line(const std::string& file) {
  const std::string text = TRY(read_input(file, k_max_key_file));
  const auto key = TRY_IN(printable(file, 1024), crypto::SigningKey::parse(text));
  const std::string name = TRY_IN("--trust", parse_key_name(name_of_key_file(file)));
  return cat(
      "chillboxctl trust add ", shell_quoted(key.to_line()), " --name ", shell_quoted(name), "\n");
}

Result<void> run_bootstrap(Call& call) {
  std::string script(k_begin);
  for (const std::string& file : call.args.list("apk-key"))
    script += TRY(apk_key_line(file));
  if (call.args.has("repository"))
    script += TRY(repository_line(call.args.text("repository")));
  script += "install_packages";
  std::vector<std::string> packages = call.args.list("package");
  if (!call.args.has("repository") && packages.empty())
    call.terminal.print_status(cat(call.terminal.err(Style::warn, "warning:"),
        " no repository of a fresh image has chillbox: give --repository URL with --apk-key "
        "KEY.rsa.pub, or --package"));
  if (packages.empty())
    packages = {"chillbox", "python3"};
  for (const std::string& package : packages)
    TRY(check_package(package));
  for (const std::string& package : packages)
    script += cat(" ", shell_quoted(package));
  script += "\n";
  for (const std::string& file : call.args.list("trust"))
    script += TRY(trust_line(file));
  script += k_end;
  call.terminal.print(call.terminal.json()
          ? answer_text("bootstrap", Script{.script = script, .shell = {}})
          : script.substr(0, script.size() - 1));
  return {};
}

} // namespace

extern constinit const Verb k_bootstrap{"bootstrap", Group::laptop, Where::both,
    "print user-data that makes a fresh image a host", k_bootstrap_options, run_bootstrap};

} // namespace chillbox::cli
