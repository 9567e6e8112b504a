// The members of the engine, as several threads ask them, each with a line of its own. A request
// goes to one member after the other, each of which has a second, until one answers for a majority.
#pragma once

#include "base/error.hpp"
#include "base/secret.hpp"
#include "config/fleet.hpp"
#include "courier/answer.hpp"
#include "courier/dialer.hpp"
#include "courier/tls.hpp"
#include "os/deadline.hpp"

#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace chillbox::courier {

struct Reply {
  int status = 0;
  std::string body;
  std::optional<int64_t> date; // the member's clock, Unix seconds
};

struct Access {
  std::vector<config::EngineEndpoint> endpoints;
  TlsClient tls;
  std::string user;
  SecretString password; // letters and digits
  std::string root() const { return "/chillbox/" + user + "/"; }
};

// A connection to one member, kept for the next request.
struct Line {
  size_t member = 0;
  std::optional<TlsConnection> connection = {};
  std::string bytes = {}; // that came and were not looked at

  void close() {
    connection.reset();
    bytes.clear();
  }
};

class Members {
public:
  Members(Access access, Dialer dialer)
      : m_access(std::move(access)), m_dialer(std::move(dialer)) {}
  const Access& access() const { return m_access; }
  size_t size() const { return m_access.endpoints.size(); }
  int dialer() const { return m_dialer.pidfd(); }

  // A reply with status 200. maybe_done: set when a member may have done what was asked without
  // saying so. unreachable: nobody answered in time; denied: the engine does not take us, or not
  // there; not_found, invalid, no_space: as it says.
  Result<Reply> ask(Line& line, std::string_view path, std::string_view body,
      const os::Deadline& deadline, bool& maybe_done);
  // The head of an answer that goes on, of the line's member alone; it has status 200.
  Result<AnswerHead> begin_stream(Line& line, std::string_view path, std::string_view body);

  void forget_token();

private:
  struct Attempt {
    Result<Reply> reply;
    bool again = false; // at another member, or of this one with another token
    bool maybe_done = false;
  };
  Attempt attempt(
      Line& line, std::string_view path, std::string_view body, const os::Deadline& deadline);
  Result<void> connect(Line& line, const os::Deadline& deadline);
  Result<AnswerHead> head(Line& line, const os::Deadline& deadline);
  Result<Reply> exchange(Line& line, const SecretString& request, const os::Deadline& deadline);
  SecretString request_of(const Line& line, std::string_view path, std::string_view body,
      const SecretString& token, std::string_view more = "") const;
  Result<SecretString> token(Line& line, const os::Deadline& deadline);
  void forget(const SecretString& token);

  Access m_access;
  Dialer m_dialer;
  std::mutex m_dialing;
  std::timed_mutex m_signing; // while one of them signs in, for seconds
  SecretString m_token;       // "": none
};

} // namespace chillbox::courier
