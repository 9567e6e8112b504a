#include "courier/members.hpp"

#include "base/text.hpp"
#include "courier/etcd.hpp"
#include "os/clock.hpp"

#include <algorithm>

namespace chillbox::courier {
namespace {

constexpr os::Millis k_member_wait{1'000};
constexpr os::Millis k_sign_in_wait{3'000}; // it hashes the password for a quarter of a second
constexpr os::Millis k_round_pause{100};
constexpr int k_status_ok = 200;
// Of gRPC.
enum Grpc {
  invalid_argument = 3,
  not_found = 5,
  permission = 7,
  exhausted = 8,
  not_signed_in = 16
};

os::Deadline sooner(const os::Deadline& deadline, os::Millis most) {
  return {std::min(deadline.left(), most)};
}

bool wants_token(const Refusal& refusal) {
  return refusal.code == not_signed_in ||
      refusal.message.find("auth: revision in header") != std::string::npos ||
      refusal.message.find("invalid auth token") != std::string::npos;
}

Error error_of(int status, const Refusal& refusal) {
  const Code code = refusal.code == invalid_argument ? Code::invalid
      : refusal.code == not_found                    ? Code::not_found
      : refusal.code == permission                   ? Code::denied
      : refusal.code == exhausted                    ? Code::no_space
                                                     : Code::unreachable;
  return {code,
      cat("the engine says: ", refusal.message.empty() ? cat("status ", status) : refusal.message)};
}

} // namespace

Result<void> Members::connect(Line& line, const os::Deadline& deadline) {
  if (line.connection)
    return {};
  line.bytes.clear();
  Fd socket;
  {
    const std::lock_guard lock(m_dialing);
    socket = TRY(m_dialer.dial(line.member));
  }
  line.connection = TRY(TlsConnection::open(
      m_access.tls, std::move(socket), m_access.endpoints[line.member].host, deadline));
  return {};
}

SecretString Members::request_of(const Line& line, std::string_view path, std::string_view body,
    const SecretString& token, std::string_view more) const {
  const auto& endpoint = m_access.endpoints[line.member];
  const bool ip6 = endpoint.host.find(':') != std::string::npos;
  const std::string head = cat("POST ", path, " HTTP/1.1\r\nHost: ", ip6 ? "[" : "", endpoint.host,
      ip6 ? "]" : "", ":", endpoint.port,
      "\r\nContent-Type: application/json\r\nContent-Length: ", body.size(), "\r\n", more);
  SecretString out(head.begin(), head.end());
  if (!token.empty()) {
    out += "Authorization: ";
    out += token;
    out += "\r\n";
  }
  out += "\r\n";
  out += body;
  return out;
}

Result<AnswerHead> Members::head(Line& line, const os::Deadline& deadline) {
  for (;;) {
    if (const auto head = TRY(take_head(line.bytes)))
      return *head;
    TRY(line.connection->read(line.bytes, deadline));
  }
}

Result<Reply> Members::exchange(
    Line& line, const SecretString& request, const os::Deadline& deadline) {
  const auto done = [&]() -> Result<Reply> {
    TRY(line.connection->write(request, deadline));
    const AnswerHead answer = TRY(head(line, deadline));
    Reply reply{.status = answer.status, .date = answer.date};
    AnswerBody body(answer);
    while (!TRY(body.take(line.bytes, reply.body)))
      TRY(line.connection->read(line.bytes, deadline));
    if (answer.closes)
      line.close();
    return reply;
  };
  auto reply = done();
  if (!reply)
    line.close();
  return reply;
}

void Members::forget(const SecretString& token) {
  const std::lock_guard lock(m_signing);
  if (m_token == token)
    m_token.clear();
}

void Members::forget_token() {
  const std::lock_guard lock(m_signing);
  m_token.clear();
}

Result<SecretString> Members::token(Line& line, const os::Deadline& deadline) {
  const os::Deadline most = sooner(deadline, k_sign_in_wait);
  const std::unique_lock lock(m_signing, most.left());
  if (!lock)
    return fail(Code::timed_out, "sign in: no answer in time");
  if (!m_token.empty())
    return m_token;
  const SecretString body = authenticate_body(m_access.user, m_access.password);
  const auto reply = TRY(exchange(line, request_of(line, "/v3/auth/authenticate", body, {}), most));
  if (reply.status != k_status_ok) {
    const Refusal refusal = parse_refusal(reply.body);
    if (refusal.code == invalid_argument) // a wrong name or password, or no users at all
      return fail(
          Code::denied, cat("the engine does not let '", m_access.user, "' in: ", refusal.message));
    return std::unexpected(error_of(reply.status, refusal));
  }
  const std::string text = TRY(parse_token(reply.body));
  m_token.assign(text.begin(), text.end());
  return m_token;
}

// With what a member answers in its second.
Members::Attempt Members::attempt(
    Line& line, std::string_view path, std::string_view body, const os::Deadline& deadline) {
  const bool kept = line.connection.has_value();
  for (const bool last : {false, true}) {
    if (const auto there = connect(line, sooner(deadline, k_member_wait)); !there)
      return {std::unexpected(there.error()), true};
    const auto signed_in = token(line, deadline);
    if (!signed_in && kept && !last && !line.connection)
      continue; // it had closed a connection that was kept
    if (!signed_in)
      return {std::unexpected(signed_in.error()), signed_in.error().code != Code::denied};
    auto reply =
        exchange(line, request_of(line, path, body, *signed_in), sooner(deadline, k_member_wait));
    if (!reply && reply.error().code == Code::timed_out)
      forget(*signed_in); // of one that it does not have yet, a restored member waits in silence
    if (!reply)
      return {std::move(reply), true, true};
    if (reply->status == k_status_ok)
      return {std::move(reply)};
    const Refusal refusal = parse_refusal(reply->body);
    const bool other_token = wants_token(refusal);
    if (other_token)
      forget(*signed_in);
    if (other_token && !last)
      continue;
    Error error = error_of(reply->status, refusal);
    const bool again = error.code == Code::unreachable;
    return {std::unexpected(std::move(error)), again, again && !other_token};
  }
  return {fail(Code::unreachable, "the member closed"), true};
}

Result<Reply> Members::ask(Line& line, std::string_view path, std::string_view body,
    const os::Deadline& deadline, bool& maybe_done) {
  for (size_t tried = 0;;) {
    auto one = attempt(line, path, body, deadline);
    if (one.reply || !one.again)
      return std::move(one.reply);
    maybe_done = maybe_done || one.maybe_done;
    const std::string member = m_access.endpoints[line.member].host;
    line.close();
    line.member = (line.member + 1) % size();
    if (++tried % size() == 0)
      os::real_clock().sleep(k_round_pause);
    if (deadline.passed())
      return fail(Code::unreachable,
          cat("no majority of the fleet's engine answers; ", member, ": ",
              one.reply.error().message));
  }
}

Result<AnswerHead> Members::begin_stream(Line& line, std::string_view path, std::string_view body) {
  line.close();
  TRY(connect(line, k_member_wait));
  const SecretString signed_in = TRY(token(line, k_sign_in_wait));
  // With this a member without a majority says so, and else it waits in silence.
  constexpr std::string_view k_majority = "Grpc-Metadata-hasleader: true\r\n";
  const os::Deadline deadline(k_member_wait);
  TRY(line.connection->write(request_of(line, path, body, signed_in, k_majority), deadline));
  const auto begun = head(line, deadline);
  if (!begun)
    forget(signed_in);
  const AnswerHead answer = TRY(begun);
  if (answer.status == k_status_ok)
    return answer;
  AnswerBody rest(answer);
  std::string text;
  while (!TRY(rest.take(line.bytes, text)))
    TRY(line.connection->read(line.bytes, deadline));
  const Refusal refusal = parse_refusal(text);
  if (wants_token(refusal))
    forget(signed_in);
  return std::unexpected(error_of(answer.status, refusal));
}

} // namespace chillbox::courier
