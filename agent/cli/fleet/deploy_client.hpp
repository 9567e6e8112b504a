// The sender's side of chillbox-webhook(7): a signed delivery, the upload that follows it, and the
// job.
#pragma once

#include "artifact/verify.hpp"
#include "base/error.hpp"
#include "base/secret.hpp"
#include "cli/core/job_view.hpp"
#include "cli/core/sse.hpp"
#include "cli/http/client.hpp"
#include "control/messages.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace chillbox::cli {

using Moment = std::chrono::steady_clock::time_point;

// The file to send: an artifact or a secret set, with its signature.
struct ArtifactFile {
  std::string path;
  std::string minisig; // text
  artifact::Statement statement;
  uint64_t size = 0;
};
// invalid: the signature is for another file; not_found: the file or its .minisig does not exist.
Result<ArtifactFile> open_artifact(const std::string& path);

// A delivery. Of the same id and body the host makes one job, so that it can be sent again; its
// headers are made for each time that it is sent, because a host takes none that is older than
// crypto::k_webhook_tolerance.
struct Delivery {
  std::string id, body;
};
Delivery make_delivery(
    const ArtifactFile& file, const std::string& id, int64_t now, bool watch = true);
std::vector<std::string> sign_delivery(
    const SecretBytes& key, const Delivery& delivery, int64_t now);
// The first whsec_ key in a key file or a sender's file.
Result<SecretBytes> parse_key_file(std::string_view text);

class DeployClient {
public:
  DeployClient(Http http, std::string base, Moment deadline, JobView& view)
      : m_http(std::move(http)), m_base(std::move(base)), m_deadline(deadline), m_view(view) {}

  // Signs and sends the delivery, and does both again if the connection is lost or the host has too
  // many requests.
  Result<control::Accepted> announce(const Delivery& delivery, const SecretBytes& key);
  // Sends signature and artifact, unless the job is past that. False: the host needed neither. The
  // artifact goes on where an upload broke off, of this job or of an earlier one, and may take as
  // long as bytes flow: the deadline is moved by it.
  Result<bool> upload(const control::Accepted& job, const ArtifactFile& file);
  // Follows the events until the job has ended; after a lost connection it continues after the last
  // event. timed_out: the deadline has passed.
  Result<control::Job> follow(const control::Accepted& job);

  Result<control::Job> job_now(const control::Accepted& job); // its state now
  // follow() fails with `sealed` at once when the job waits for an unlock, and not at the deadline.
  void stop_when_locked() { m_stop_when_locked = true; }

private:
  struct StreamState {
    bool anything = false; // there was a new event
    bool ended = false;
  };
  std::chrono::milliseconds left() const;
  Result<StreamState> read_events(const control::Accepted& job, SseParser& parser);
  using MakeHeaders = std::function<std::vector<std::string>()>; // each time that it is sent
  Result<HttpReply> checked(HttpRequest request, const MakeHeaders& headers = {});
  Result<HttpReply> insisted(const HttpRequest& request, const MakeHeaders& headers = {});
  Result<bool> put(const std::string& link, const HttpRequest& what);
  Result<control::JobAnswer> look(const control::Accepted& job);
  Result<bool> wants_upload(const control::Accepted& job);
  Result<std::optional<uint64_t>> resume_point(const control::Accepted& job);
  Result<HttpReply> send_from(
      uint64_t at, const control::Accepted& job, const ArtifactFile& file, int fd);
  Result<bool> send_artifact(const control::Accepted& job, const ArtifactFile& file, int fd);
  void wait(std::chrono::milliseconds time) const;

  Http m_http;
  std::string m_base;
  Moment m_deadline;
  JobView& m_view;
  std::string m_step;                 // the latest that began
  uint64_t m_number = 0;              // of the latest event
  uint64_t m_sent = 0;                // of the artifact
  std::optional<uint64_t> m_received; // of it, as wants_upload saw it
  bool m_stop_when_locked = false;
};

} // namespace chillbox::cli
