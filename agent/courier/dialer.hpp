// The one process that makes connections to the engine. It resolves the endpoints, gives up all
// else, and from then on connects to these addresses alone, by number, and passes each socket on
// as it is. It reads nothing that comes from the network: who owns the courier, which reads it,
// still has nowhere else to go.
#pragma once

#include "base/error.hpp"
#include "base/fd.hpp"
#include "os/process.hpp"

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace chillbox::courier {

// The role: descriptor 3 is a packet socket, on which each packet is one byte, the number of an
// endpoint; the answer is one byte, 0 with the socket or an errno. First of all it sends one byte
// for each endpoint: whether it has an address. user "-": stays who it is.
int dialer_main(const std::string& user, const std::vector<std::string>& endpoints);

// The courier's end.
class Dialer {
public:
  // unreachable: none of the endpoints has an address.
  static Result<Dialer> start(const std::string& user, const std::vector<std::string>& endpoints);
  // A socket that is being connected, for poll(). unreachable.
  Result<Fd> dial(size_t endpoint);
  int pidfd() const { return m_child.pidfd(); } // readable when it ended

private:
  os::Child m_child;
  Fd m_socket;
};

} // namespace chillbox::courier
