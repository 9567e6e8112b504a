#include "courier/calls.hpp"

#include "base/text.hpp"
#include "courier/etcd.hpp"

#include <chrono>

namespace chillbox::courier {
namespace {

constexpr os::Millis k_keep_each{20'000}, k_keep_again{5'000}, k_keep_wait{4'000};
constexpr os::Millis k_lease_life = control::k_engine_lease;

os::Millis now() {
  return os::real_clock().mono();
}

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
  if (m_lease.empty())
    m_more.wait(lock, there);
  // To the moment at which the lease is due.
  else if (!m_more.wait_for(lock, std::max(m_due - now(), os::Millis{0}), there))
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
    if (!m_lease.empty() && now() >= m_due) // also while orders keep coming
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

Result<void> Calls::need_lease(const os::Deadline& deadline) {
  if (!m_lease.empty())
    return {};
  const auto reply = TRY(ask("/v3/lease/grant", lease_body(control::k_engine_lease), deadline));
  m_lease = TRY(parse_lease(reply.body));
  m_kept = now();
  m_due = m_kept + k_keep_each;
  return {};
}

// What is written early in its life is kept for its whole time, too.
Result<std::string> Calls::timed_lease(std::chrono::seconds kept, const os::Deadline& deadline) {
  const std::chrono::seconds more = kept / 16;
  TimedLease& lease = m_timed[kept];
  if (!lease.id.empty() && now() - lease.granted < more)
    return lease.id;
  lease.granted = now();
  const auto reply = TRY(ask("/v3/lease/grant", lease_body(kept + more), deadline));
  lease.id = TRY(parse_lease(reply.body));
  return lease.id;
}

Result<Leases> Calls::leases_for(const Order& order) {
  Leases leases;
  for (const auto& write : order.writes) {
    if (write.leased) {
      TRY(need_lease(order.deadline));
      leases[std::chrono::seconds{0}] = m_lease;
    } else if (write.kept.count() > 0 && !leases.contains(write.kept)) {
      leases[write.kept] = TRY(timed_lease(write.kept, order.deadline));
    }
  }
  return leases;
}

Result<Done> Calls::try_change(const Order& order) {
  bool maybe_done = false;
  for (const bool last : {false, true}) {
    const auto leases = TRY(leases_for(order));
    const auto& root = m_members.access().root();
    const auto reply = ask("/v3/kv/txn", change_body(root, order.conditions, order.writes, leases),
        order.deadline, &maybe_done);
    if (!reply && !leases.empty() && !last && reply.error().code == Code::not_found) {
      m_lease.clear(); // one of them was gone
      m_timed.clear();
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
  if (!m_lease.empty())
    (void)ask("/v3/lease/revoke", lease_body(m_lease), k_keep_wait);
  m_lease.clear();
}

// A lease of which the engine has not heard for its time may be gone: the next write gets another.
void Calls::keep_alive() {
  const auto reply = ask("/v3/lease/keepalive", lease_body(m_lease), k_keep_wait);
  if (reply && lease_lives(reply->body)) {
    m_kept = now();
    m_due = m_kept + k_keep_each;
  } else if (reply || now() - m_kept > k_lease_life) {
    m_lease.clear();
  } else {
    m_due = now() + k_keep_again;
  }
}

} // namespace chillbox::courier
