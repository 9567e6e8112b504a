#include "os/secret_mask.hpp"

#include "base/fd.hpp"
#include "base/secret.hpp"
#include "base/secret_values.hpp"
#include "os/io.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <functional>

namespace chillbox::os {
namespace {

constexpr off_t k_largest = 1 << 20; // bytes of a file
constexpr int k_flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;

void each_entry(int directory, const std::function<void(const Fd& entry)>& take) {
  DIR* list = ::fdopendir(::openat(directory, ".", k_flags | O_DIRECTORY));
  if (list == nullptr)
    return;
  while (const dirent* entry = ::readdir(list))
    if (entry->d_name[0] != '.' || (entry->d_name[1] != '\0' && entry->d_name[1] != '.'))
      if (const Fd fd(::openat(directory, entry->d_name, k_flags)); fd)
        take(fd);
  ::closedir(list);
}

} // namespace

Mask mask_of_set(int directory) {
  SecretStrings values;
  each_entry(directory, [&](const Fd& service) {
    each_entry(service.get(), [&](const Fd& file) {
      struct stat st{};
      if (::fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > k_largest)
        return;
      SecretString text(static_cast<size_t>(st.st_size), '\0');
      if (read_fully(file.get(), text.data(), text.size()) == st.st_size)
        for (auto& value : secret_values(text))
          values.push_back(std::move(value));
    });
  });
  return Mask(values);
}

Mask mask_of_set(const std::string& directory) {
  const Fd fd(::open(directory.c_str(), k_flags | O_DIRECTORY));
  return fd ? mask_of_set(fd.get()) : Mask();
}

} // namespace chillbox::os
