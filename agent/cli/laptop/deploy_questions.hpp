// What a deploy checks of a host and asks a person before anything is packed for it, and the words
// in which it ends.
#pragma once

#include "cli/laptop/deploy_artifact.hpp"

#include <string>
#include <string_view>

namespace chillbox::cli {

struct DeployQuestion {
  const DeployPlan& plan;
  const control::Facts& facts;
  const DeployMemory& memory;
  const DeployVersion& version;
  const std::string& host;
};
// A host name vanishes, the site came from another folder or repository, an older version, and
// `confirm` of chillbox.toml. failure: the answer was no.
Result<void> ask_before(Call& call, const DeployQuestion& about);
// The reasons for which ask_before() asks; empty: it does not.
std::vector<std::string> reasons_to_ask(const DeployQuestion& about);
// busy: the site is held; corrupt: the host says nothing of its key.
Result<void> check_facts(
    const control::Facts& facts, const std::string& site, const std::string& host);

// A name under which a host may be remembered: the first part of its own; "": all are taken.
std::string free_name(
    const Places& places, const std::string& server_name, const std::string& destination);
// "hello: check: service 'web' keeps crashing" without the site, which everybody knows here.
std::string plain_reason(std::string_view message, const std::string& site);
// "1.4.0 is still live; no visitor saw the new one."; of a job that could not undo all, where to
// look.
std::string still_live(const control::SiteFacts& before, const Error& error, const std::string& job,
    const std::string& host);

} // namespace chillbox::cli
