// A host whose intake is asked as the edge asks it: packets through a pair of sockets.
#pragma once

#include "control/json.hpp"
#include "daemon/capability.hpp"
#include "daemon/webhook_intake.hpp"
#include "os/socket.hpp"
#include "rollout/engine_host.hpp"

#include <nlohmann/json.hpp>

#include <csignal>
#include <deque>
#include <initializer_list>

namespace chillbox::test {

using control::Json;
using control::PacketVerb;

struct Reply {
  uint64_t sequence = 0;
  int status = 0; // 0: none came
  Json body;
  std::string text; // the body as it came
  std::string ticket;
  Fd fd;
};

struct IntakeHost : EngineHost {
  IntakeHost() {
    ::signal(SIGPIPE, SIG_IGN); // as the edge does
    write(paths.webhooks() + "/ci.key", key_text + "\n");
    open_intake();
  }
  ~IntakeHost() { intake.reset(); }

  void open_intake() {
    intake = std::make_unique<daemon::WebhookIntake>(context(), *engine,
        must(store().host_secret()), must(daemon::load_senders(paths.webhooks())), hold);
    auto [ours, theirs] = must(os::packet_pair());
    intake->attach(std::move(ours));
    edge = std::move(theirs);
  }
  void restart_all() {
    intake.reset();
    restart_daemon();
    open_intake();
  }

  uint64_t send(PacketVerb verb, std::initializer_list<std::string_view> fields) {
    must(os::send_packet(edge.get(), control::make_packet(verb, ++m_sequence, fields)));
    return m_sequence;
  }
  bool serve() {
    const bool open = intake->serve();
    intake->settle();
    return open;
  }
  Reply receive(os::Millis wait = os::Millis{0}) {
    if (m_replies.empty())
      read_replies(wait);
    if (m_replies.empty())
      return {};
    Reply reply = std::move(m_replies.front());
    m_replies.pop_front();
    return reply;
  }
  Reply ask(PacketVerb verb, std::initializer_list<std::string_view> fields,
      os::Millis wait = os::Millis{0}) {
    send(verb, fields);
    serve();
    // An upload ends in a thread of its own.
    return receive(verb == PacketVerb::upload_done ? os::Millis{10'000} : wait);
  }

  // --- webhooks
  struct Hook {
    std::string body;
    std::string id = "msg_1";
    std::string timestamp; // "" : now
    std::string signature; // "" : the right one
    std::string github, github_delivery;
    bool sign = true;
  };
  Hook complete(Hook hook) {
    if (hook.timestamp.empty() && hook.sign)
      hook.timestamp = std::to_string(clock.wall());
    if (hook.signature.empty() && hook.sign)
      hook.signature = crypto::sign_webhook(key, hook.id, hook.timestamp, hook.body);
    return hook;
  }
  uint64_t send_hook(const Hook& given) {
    const Hook h = complete(given);
    return send(PacketVerb::hook,
        {h.id, h.timestamp, h.signature, h.github, h.github_delivery, h.body, "application/json"});
  }
  Reply hook(const Hook& given) {
    send_hook(given);
    serve();
    return receive();
  }
  static std::string order(const std::string& type, const std::string& data) {
    return cat(
        R"({"type":")", type, R"(","timestamp":"2027-01-15T08:00:00Z","data":{)", data, "}}");
  }
  static std::string deploy_body(
      const Sent& sent, const std::string& slug = "blog", const std::string& version = "1.0.0") {
    return order("site.deploy",
        cat(R"("site":")", slug, R"(","version":")", version, R"(","sha256":")", sent.sha256,
            R"(","size":)", sent.size));
  }
  std::string any_deploy(const std::string& slug = "blog") {
    return deploy_body({.sha256 = std::string(64, 'a'), .size = 100}, slug);
  }
  size_t jobs() { return must(store().jobs("", 1000)).size(); }

  // --- uploads
  std::string cap(const std::string& job) {
    const auto stored = look(job);
    return daemon::capability_text(
        must(store().host_secret()), {job, stored.key, stored.created_ms / 1000 + 86'400});
  }
  Reply begin(const std::string& digest, const std::string& kind, const std::string& capability,
      uint64_t size, uint64_t from = 0) {
    return ask(PacketVerb::upload_begin,
        {digest, kind, capability, std::to_string(size), std::to_string(from)});
  }
  // The whole of an upload as the edge does it.
  Reply put(const std::string& digest, const std::string& kind, const std::string& capability,
      const std::string& file) {
    const std::string bytes = must(os::real_disk().read(file, 1 << 24));
    auto begun = begin(digest, kind, capability, bytes.size());
    if (begun.status != 200 || begun.ticket.empty())
      return begun;
    must(os::write_all(begun.fd.get(), bytes_of(bytes)));
    return ask(PacketVerb::upload_done, {begun.ticket, "ok"});
  }

  std::string key_text = crypto::new_webhook_key();
  SecretBytes key = crypto::parse_webhook_key(key_text).value();
  std::unique_ptr<daemon::WebhookIntake> intake;
  std::chrono::microseconds hold{0};
  Fd edge;

private:
  void read_replies(os::Millis wait) {
    auto packet = os::receive_packet(edge.get(), control::k_max_packet, wait);
    if (!packet || !*packet)
      return;
    for (const auto& view : must(control::parse_packets((*packet)->bytes))) {
      REQUIRE(view.verb == PacketVerb::answer);
      Reply reply{.sequence = view.sequence,
          .status = static_cast<int>(parse_u64(view.fields.at(0)).value_or(0)),
          .body = {}};
      reply.text = view.fields.at(1);
      reply.body = must(control::parse_json(reply.text, control::k_max_packet));
      reply.ticket = view.fields.at(2);
      reply.fd = std::move((*packet)->fd);
      m_replies.push_back(std::move(reply));
    }
  }

  uint64_t m_sequence = 0;
  std::deque<Reply> m_replies;
};

} // namespace chillbox::test
