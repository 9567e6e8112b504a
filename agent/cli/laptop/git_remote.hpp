// git-remote-chillbox: `git push live main` deploys, with the remote chillbox::HOST/SITE
// (gitremote-helpers(7)). There is no git on the host: exactly the commit that is pushed is packed
// here, as with `deploy --commit`, and what the deploy says goes to standard error. Only a branch
// can be pushed, and only forward from what is live, unless the push is forced.
#pragma once

#include <string>
#include <vector>

namespace chillbox::cli {

// words: the remote's name and HOST/SITE. The exit code.
int run_git_remote(const std::vector<std::string>& words);

// "+HEAD:refs/heads/main"
struct GitPush {
  bool forced = false;
  std::string from, to;
};
GitPush parse_git_push(const std::string& text);
// The commit in a version that git describes: "3f2a1c9" of "1.4.1-dev.2+g3f2a1c9.dirty"; "" : none.
std::string commit_in_version(const std::string& version);

} // namespace chillbox::cli
