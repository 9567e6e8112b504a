// The sender's side of the wire (chillbox-webhook(7)): a signed delivery, the upload it asks for,
// the job it makes.
#pragma once

#include "artifact/verify.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"
#include "cli/core/http.hpp"
#include "cli/core/progress.hpp"
#include "cli/core/reply.hpp"
#include "cli/core/sse.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace chillbox::cli {

using Moment = std::chrono::steady_clock::time_point;

// What is sent: an artifact or a secret set, with its signature beside it.
struct ArtifactFile {
  std::string path;
  std::string minisig; // text
  artifact::Statement statement;
  uint64_t size = 0;
};
// invalid: the signature is for another file; not_found: no file or no .minisig.
Result<ArtifactFile> open_artifact(const std::string& path);

// The body and the headers of a delivery. Pure: the same id, moment and file give the same bytes,
// so that it can be sent again.
struct Delivery {
  std::string body;
  std::vector<std::string> headers;
};
Delivery sign_delivery(const SecretBytes& key, const ArtifactFile& file, const std::string& id,
    int64_t now, bool watch = true);
// The first whsec_ key in the text of a key file, or of a sender's file.
Result<SecretBytes> parse_key_file(std::string_view text);

class DeployClient {
public:
  DeployClient(Http http, std::string base, Moment deadline, Progress& progress)
      : m_http(std::move(http)), m_base(std::move(base)), m_deadline(deadline),
        m_progress(progress) {}

  // POST. Sent again with the same id when the connection was lost on the way: the host makes one
  // job of both.
  Result<Accepted> announce(const Delivery& delivery);
  // Signature and artifact, unless the job is beyond that. False: the host needed neither.
  Result<bool> upload(const Accepted& job, const ArtifactFile& file);
  // Follows the events until the job ended; a lost connection is taken up behind the last event.
  // timed_out at the deadline.
  Result<JobView> follow(const Accepted& job);

  Result<JobView> job_now(const Accepted& job); // as it is now

private:
  struct StreamState {
    bool anything = false; // that was not known
    bool ended = false;
  };
  std::chrono::milliseconds left() const;
  Result<StreamState> read_events(const Accepted& job, SseParser& parser);
  Result<HttpReply> checked(const HttpRequest& request);
  Result<bool> put(const std::string& link, const HttpRequest& what);
  Result<bool> wants_upload(const Accepted& job);
  void wait(std::chrono::milliseconds time) const;

  Http m_http;
  std::string m_base;
  Moment m_deadline;
  Progress& m_progress;
};

} // namespace chillbox::cli
