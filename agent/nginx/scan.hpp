// A look into what `nginx -T` prints: its directives with the blocks around them and the file that
// they are in. Knows comments, quotes and braces, nothing of what a directive means. For this
// room only.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::nginx {

struct Directive {
  std::string file;
  std::string block; // names of the blocks around it, joined by spaces: "http server"; "" at the
                     // top of a file
  std::vector<std::string> words;
};

std::vector<Directive> scan(std::string_view printed);
// Of these only what somebody asks for of the whole host (k_asked): of each site it prints some
// three hundred.
std::vector<Directive> scan_host(std::string_view printed);
// The same, and of all that NGINX printed: the files that it read, the main one first, and the
// words that may name another one.
struct Printed {
  std::vector<Directive> directives;
  std::vector<std::string> files;
  std::set<std::string> named;
};
Printed scan_printed(std::string_view printed);

// Where files for `http` are included from: the first of the known directories that nginx.conf
// includes *.conf or everything of, inside its http block (Alpine includes conf.d outside of it).
// "" when none.
std::string include_directory(const std::vector<Directive>& directives);
// The file that makes itself the default server of this port, other than our own chillbox.conf; ""
// when none.
std::string default_server_file(const std::vector<Directive>& directives, unsigned port);

// Does another file than our own chillbox.conf set this for the whole of http? Then ours must not:
// NGINX refuses a second one. Says yes also where a file sets it that only a server includes.
bool sets(const std::vector<Directive>& directives, std::string_view directive);

} // namespace chillbox::nginx
