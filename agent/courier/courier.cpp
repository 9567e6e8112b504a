#include "courier/courier.hpp"

#include "base/log.hpp"
#include "base/text.hpp"
#include "control/engine_link.hpp"
#include "control/packet.hpp"
#include "courier/calls.hpp"
#include "courier/follow.hpp"
#include "os/memory.hpp"
#include "os/roles.hpp"
#include "os/sandbox.hpp"
#include "os/socket.hpp"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <list>
#include <thread>

namespace chillbox::courier {
namespace {

using control::PacketVerb;
using control::PacketView;

constexpr int k_monitor = 3;
constexpr os::Millis k_begin_wait{10'000}, k_longest_deadline{60'000};
constexpr size_t k_begin_fields = 7;

struct Begin {
  Access access;
  std::vector<std::string> endpoints;
};

Result<Begin> read_begin(const PacketView& packet) {
  if (packet.verb != PacketVerb::engine_begin || packet.fields.size() != k_begin_fields ||
      packet.fields[0] != std::to_string(control::k_engine_packets))
    return fail(
        Code::invalid, "chillboxd and chillboxctl are of two versions: chillboxctl upgrade");
  Begin out;
  for (const auto url : split(packet.fields[1], ' ')) {
    out.access.endpoints.push_back(TRY(config::parse_endpoint(url)));
    out.endpoints.emplace_back(url);
  }
  out.access.tls = TRY(TlsClient::create(packet.fields[2], packet.fields[3], packet.fields[4]));
  out.access.user = packet.fields[5];
  out.access.password.assign(packet.fields[6].begin(), packet.fields[6].end());
  return out;
}

Result<void> confine_courier(const std::string& user) {
  os::Confinement c = os::confinement_of(os::k_courier_role);
  if (user != "-") {
    c.user = TRY(os::find_user(user));
    c.chroot_to = os::Paths::from_environment().empty();
  }
  return os::confine(c);
}

Result<std::unique_ptr<Members>> begin(const std::string& user) {
  TRY(os::deny_core_and_ptrace());
  auto packet = TRY(os::receive_packet(k_monitor, control::k_max_packet, k_begin_wait));
  if (!packet)
    return fail(Code::interrupted, "the monitor is gone");
  auto read = TRY(read_begin(TRY(control::parse_packet(packet->bytes))));
  wipe(packet->bytes.data(), packet->bytes.size());
  Dialer dialer = TRY(Dialer::start(user, read.endpoints));
  TRY(confine_courier(user));
  return std::make_unique<Members>(std::move(read.access), std::move(dialer));
}

std::optional<uint64_t> number(const PacketView& packet, size_t field) {
  return field < packet.fields.size() ? parse_u64(packet.fields[field]) : std::nullopt;
}

os::Deadline deadline_of(const PacketView& packet, size_t field) {
  const auto ms = static_cast<int64_t>(
      std::min<uint64_t>(number(packet, field).value_or(0), k_longest_deadline.count()));
  return {os::Millis{ms}};
}

// One thread reads what the monitor sends; the calls and each prefix have theirs.
class Courier {
public:
  explicit Courier(Members& members)
      : m_members(members), m_report(k_monitor), m_calls(members, m_report) {
    m_report.on_loss = [this] {
      const std::lock_guard lock(m_mutex);
      for (auto& follower : m_followers)
        follower.look_again();
    };
    std::thread([this] { m_calls.run(); }).detach();
  }
  void take(const PacketView& packet);

private:
  void follow(const std::string& prefix);
  void add(Order::Kind kind, const PacketView& packet);

  Members& m_members;
  Report m_report;
  Calls m_calls;
  std::mutex m_mutex; // of m_followers
  std::list<Follower> m_followers;
  std::vector<std::string> m_followed;
  Order m_change; // in the making
};

void Courier::follow(const std::string& prefix) {
  if (std::ranges::find(m_followed, prefix) != m_followed.end() ||
      m_followed.size() >= control::k_max_followed)
    return;
  m_followed.push_back(prefix);
  const std::lock_guard lock(m_mutex);
  Follower& follower = m_followers.emplace_back(m_members, m_report, prefix);
  std::thread([&follower] { follower.run(); }).detach();
}

void Courier::add(Order::Kind kind, const PacketView& packet) {
  Order order = kind == Order::Kind::change ? std::exchange(m_change, {}) : Order{};
  order.kind = kind;
  order.sequence = packet.sequence;
  if (kind == Order::Kind::read)
    order.prefix = packet.fields.empty() ? "" : packet.fields[0];
  order.deadline = deadline_of(packet, kind == Order::Kind::read ? 1 : 0);
  m_calls.add(std::move(order));
}

// The monitor is the one that is trusted: what it sends is whole.
void Courier::take(const PacketView& packet) {
  const auto& fields = packet.fields;
  switch (packet.verb) {
  case PacketVerb::engine_if:
    if (fields.size() == 4)
      m_change.conditions.push_back(
          {static_cast<control::EngineCondition::Kind>(number(packet, 0).value_or(0)),
              std::string(fields[1]), std::string(fields[2]), number(packet, 3).value_or(0)});
    break;
  case PacketVerb::engine_write:
    if (fields.size() == 4)
      m_change.writes.push_back({std::string(fields[0]), std::string(fields[1]),
          fields[2].find('l') != std::string_view::npos,
          fields[2].find('r') != std::string_view::npos,
          std::chrono::seconds{number(packet, 3).value_or(0)}});
    break;
  case PacketVerb::engine_change: add(Order::Kind::change, packet); break;
  case PacketVerb::engine_read: add(Order::Kind::read, packet); break;
  case PacketVerb::engine_release: add(Order::Kind::release, packet); break;
  case PacketVerb::engine_follow:
    if (!fields.empty())
      follow(std::string(fields[0]));
    break;
  default: break;
  }
}

} // namespace

int courier_main(const std::string& user) {
  const auto members = begin(user);
  if (!members) {
    log::error(cat("fleet: ", members.error().message));
    return 1;
  }
  auto* courier = new Courier(**members); // its threads use it to the end of the process
  os::trim_memory();
  for (;;) {
    std::array<pollfd, 2> fds{
        pollfd{k_monitor, POLLIN, 0}, pollfd{(*members)->dialer(), POLLIN, 0}};
    if (::poll(fds.data(), fds.size(), -1) > 0 && fds[1].revents != 0) {
      log::error("fleet: the dialer ended");
      ::_exit(1); // and it is started again with another one
    }
    const auto packet = os::receive_packet(k_monitor, control::k_max_packet);
    if (!packet || !*packet)
      ::_exit(0);
    if (const auto read = control::parse_packet((*packet)->bytes))
      courier->take(*read);
  }
}

bool is_courier(const std::vector<std::string>& words) {
  return (words.size() == 2 && words[0] == os::k_courier_role.flag) ||
      (words.size() > 2 && words[0] == os::k_dialer_role.flag);
}

int run_courier(const std::vector<std::string>& words) {
  log::init(words[0], log::Level::info);
  if (words[0] == os::k_courier_role.flag)
    return courier_main(words[1]);
  return dialer_main(words[1], {words.begin() + 2, words.end()});
}

} // namespace chillbox::courier
