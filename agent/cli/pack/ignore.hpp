// .chillboxignore: which files of a site's folder stay on the laptop. Lines as in gitignore(5):
// empty lines and those that begin with # say nothing; ! takes back what a line before it left out;
// a / at the end means folders only; a / elsewhere means the path from the site's folder, else the
// name counts at any depth; *, ? and [a-z] match within one name, ** any number of folders; \ takes
// the meaning of what follows it. The last line that matches decides. What lies in a folder that is
// left out cannot be taken back. There is one such file, next to the site file.
#pragma once

#include "base/error.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace chillbox::cli {

class IgnoreList {
public:
  // Preceded by lines for what no host needs: what tools leave (.git, __pycache__, ...), .env and
  // other files with the secrets of one machine, and artifacts. So ! can take these back. invalid:
  // a line that can match nothing, with its number.
  static Result<IgnoreList> parse(std::string_view text);
  // path: relative to the site's folder. The folders that it lies in are not looked at: a
  // walk does not enter them.
  bool leaves_out(std::string_view path, bool directory) const;
  // The same, and the folders that it lies in.
  bool leaves_out_whole(std::string_view path, bool directory) const;
  // Whether the file's own lines take it back, or a folder that it lies in: it is wanted, whatever
  // it is.
  bool takes_back(std::string_view path, bool directory) const;

private:
  struct Rule {
    std::vector<std::string> parts; // patterns of names; "**": any number of them
    bool take_back = false;
    bool directories = false;
  };
  static Result<Rule> rule_of(std::string_view line);
  Result<void> add(std::string_view text);
  std::vector<Rule> m_rules;
  size_t m_own = 0; // where the file's own begin
};

} // namespace chillbox::cli
