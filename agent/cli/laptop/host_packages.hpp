// Which files become chillbox on another machine: packages for apk with the keys that signed them,
// a .deb, or a .tar of `make install`.
#pragma once

#include "base/error.hpp"
#include "cli/laptop/host_look.hpp"

#include <string>
#include <vector>

namespace chillbox::cli {

struct HostPackages {
  std::vector<std::string> files; // to be sent; none: the machine's own repository has it
  std::string version;            // of chillbox in them, from the name of the file; "" unknown
};

// From --package (files, or one folder that has them); else from a folder packages/ARCH in the
// cache, next to this program, and in dist/ARCH of the tree that it was built in; else from the
// machine's own repository. not_found: nowhere; invalid: none for that machine among the given
// ones.
Result<HostPackages> find_packages(const std::vector<std::string>& given, const HostLook& look,
    const std::string& cache, const std::string& program);

} // namespace chillbox::cli
