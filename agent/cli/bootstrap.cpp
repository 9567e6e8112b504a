// bootstrap: user-data for the first boot of a fresh image. It has no secret: what remains is `chillboxctl init`, where a person types.
#include "cli/input.hpp"
#include "cli/json_fields.hpp"
#include "cli/terminal.hpp"
#include "cli/verbs.hpp"

#include "base/text.hpp"
#include "crypto/minisign.hpp"

#include <filesystem>

namespace chillbox::cli {
namespace {

constexpr size_t k_max_key_file = 8 * 1024;

constexpr std::string_view k_script = R"sh(
say() { printf 'chillbox bootstrap: %s\n' "$*"; }

install_package() {
  if command -v chillboxctl >/dev/null; then
    say 'installed already'
    return
  fi
  file=$package
  case $package in
    http://* | https://*)
      file=/tmp/chillbox-bootstrap.${package##*.}
      wget -q -O "$file" "$package"
      ;;
  esac
  case $file in
    *.tar) tar -x -f "$file" -C / ;;
    *) apk add --no-progress "$file" ;;
  esac
}

install_package
trust_deployers
say 'done; what remains is for a person: ssh -t root@HOST chillboxctl init'
)sh";

std::string shell_quoted(std::string_view text) {
  std::string out = "'";
  for (const char c : text)
    out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out + "'";
}

} // namespace

Result<void> run_bootstrap(Call& call) {
  std::string trust;
  for (const std::string& file : call.args.list("trust")) {
    const std::string text = TRY(read_input(file, k_max_key_file));
    const auto key = TRY_IN(printable(file, 1024), crypto::MinisignPublicKey::parse(text));
    const std::string name = TRY_IN("--trust", parse_key_name(std::filesystem::path(file).stem().string()));
    trust += cat("  chillboxctl trust add ", shell_quoted(key.to_line()), " --name ", shell_quoted(name), "\n");
  }
  const std::string script = cat("#!/bin/sh\n# user-data: makes a fresh image a chillbox host. Safe to run twice.\nset -eu\n\npackage=",
                                 shell_quoted(call.args.text("package", "chillbox")), "\n\ntrust_deployers() {\n  :\n", trust, "}\n",
                                 trim(k_script));
  call.terminal.print(call.terminal.json() ? result_text("bootstrap", {{"script", script}}) : script);
  return {};
}

} // namespace chillbox::cli
