#include "openrc/secret_variables.hpp"

#include "base/fd.hpp"
#include "base/secret.hpp"
#include "base/text.hpp"
#include "config/dotenv.hpp"
#include "os/io.hpp"

#include <fcntl.h>

#include <cerrno>

namespace chillbox::openrc {

Result<void> add_secret_variables(
    const std::string& path, std::vector<std::pair<std::string, std::string>>& environment) {
  if (path.empty())
    return {};
  const size_t service = path.rfind('/', path.rfind('/') - 1);
  const std::string what = cat("secret '", printable(path.substr(service + 1)), "'");
  const Fd fd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!fd)
    return errno == ENOENT
        ? fail(Code::sealed, cat(what, " is missing: `chillboxctl unlock` first"))
        : fail_errno(what, errno);
  std::string text = TRY(os::read_all(fd.get(), config::k_max_dotenv, what));
  auto pairs = config::parse_dotenv(text);
  wipe(text.data(), text.size());
  for (auto& [name, value] : TRY_IN(what, std::move(pairs))) {
    std::erase_if(environment, [&](const auto& pair) { return pair.first == name; });
    environment.emplace_back(name, std::move(value));
  }
  return {};
}

} // namespace chillbox::openrc
