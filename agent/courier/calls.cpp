#include "courier/calls.hpp"

#include "base/text.hpp"
#include "courier/etcd.hpp"

#include <chrono>

namespace chillbox::courier {
namespace {

constexpr os::Millis k_keep_wait{4'000};

// Whether a change of whose first try nobody knows was made: what it writes first is as it wrote
// it.
bool was_made(const Order& order, const ChangeAnswer& answer) {
  const auto& first = order.writes.front();
  return first.removes ? !answer.written : answer.written && answer.written->text == first.text;
}

} // namespace

void Calls::add(Order order) {
  {
    const std::lock_guard lock(m_mutex);
    m_orders.push_back(std::move(order));
  }
  m_more.notify_one();
}

std::optional<Order> Calls::next() {
  std::unique_lock lock(m_mutex);
  const auto there = [this] { return !m_orders.empty(); };
  if (m_leases.kept_alive().empty())
    m_more.wait(lock, there);
  // To the moment at which the lease is due.
  else if (!m_more.wait_for(
               lock, std::max(m_leases.due() - os::real_clock().mono(), os::Millis{0}), there))
    return std::nullopt;
  Order order = std::move(m_orders.front());
  m_orders.pop_front();
  return order;
}

void Calls::run() {
  for (;;) {
    const auto order = next();
    if (!order)
      keep_alive();
    else if (order->kind == Order::Kind::change)
      m_report.done(order->sequence, change(*order));
    else if (order->kind == Order::Kind::read)
      read(*order);
    else
      release();
    if (!m_leases.kept_alive().empty() &&
        os::real_clock().mono() >= m_leases.due()) // also while orders keep coming
      keep_alive();
  }
}

Result<Reply> Calls::ask(
    std::string_view path, std::string_view body, const os::Deadline& deadline, bool* maybe_done) {
  bool unused = false;
  auto reply =
      m_members.ask(m_line, path, body, deadline, maybe_done == nullptr ? unused : *maybe_done);
  if (reply)
    m_report.touch("");
  else if (reply.error().code == Code::unreachable || reply.error().code == Code::denied)
    m_report.touch(reply.error().message);
  return reply;
}

Result<Leases> Calls::leases_for(const Order& order) {
  m_lease_deadline = order.deadline;
  return m_leases.of(order.writes);
}

Result<std::string> Calls::grant(std::chrono::seconds life) {
  return parse_lease(TRY(ask("/v3/lease/grant", lease_body(life), m_lease_deadline)).body);
}

Result<Done> Calls::try_change(const Order& order) {
  bool maybe_done = false;
  for (const bool last : {false, true}) {
    const auto leases = TRY(leases_for(order));
    const auto& root = m_members.access().root();
    const auto reply = ask("/v3/kv/txn", change_body(root, order.conditions, order.writes, leases),
        order.deadline, &maybe_done);
    if (!reply && !leases.empty() && !last && reply.error().code == Code::not_found) {
      m_leases.lost(leases);
      continue;
    }
    if (!reply)
      return std::unexpected(reply.error());
    const auto answer = TRY(parse_change(root, reply->body, !order.conditions.empty()));
    Done done{.revision = answer.revision, .date = reply->date};
    done.change = {answer.succeeded, answer.succeeded ? answer.revision : 0, answer.found};
    if (!answer.succeeded && maybe_done && was_made(order, answer))
      done.change = {true, answer.written ? answer.written->fence : answer.revision, {}};
    return done;
  }
  return fail(Code::unreachable, "the engine gives no lease");
}

Done Calls::change(const Order& order) {
  auto done = try_change(order);
  return done ? std::move(*done) : Done{.error = std::move(done.error())};
}

void Calls::read(const Order& order) {
  const auto& root = m_members.access().root();
  const auto answer = [&]() -> Result<Done> {
    const auto reply = TRY(ask("/v3/kv/range", range_body(root, order.prefix), order.deadline));
    const auto range = TRY(parse_range(root, reply.body));
    for (const auto& value : range.values)
      m_report.value(order.sequence, value);
    return Done{.revision = range.revision, .date = reply.date};
  }();
  m_report.done(order.sequence, answer ? *answer : Done{.error = answer.error()});
}

void Calls::release() {
  if (!m_leases.kept_alive().empty())
    (void)ask("/v3/lease/revoke", lease_body(m_leases.kept_alive()), k_keep_wait);
  m_leases.forget();
}

// A lease of which the engine has not heard for its time may be gone: the next write gets another.
void Calls::keep_alive() {
  const auto reply = ask("/v3/lease/keepalive", lease_body(m_leases.kept_alive()), k_keep_wait);
  if (!reply)
    m_leases.silent();
  else if (lease_lives(reply->body))
    m_leases.lives();
  else
    m_leases.forget();
}

} // namespace chillbox::courier
