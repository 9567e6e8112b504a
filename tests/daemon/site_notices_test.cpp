// What a site posts, by the user that the kernel names.
#include "daemon/site_notices.hpp"

#include "catch.hpp"

#include "control_host.hpp"
#include "store/notices.hpp"

#include <unistd.h>

using namespace chillbox;
using namespace chillbox::test;

TEST_CASE("a user who is no site's posts nothing, and a text is bounded and text [attack-U7]") {
  EngineHost host;
  daemon::SiteNotices notices(host.context());
  CHECK(notices.take(::getuid(), "hello").error().code == Code::denied);
  CHECK(notices.take(4'000'000'000U, "hello").error().code == Code::denied);
  CHECK(notices.take(::getuid(), std::string(daemon::k_site_notice_max + 1, 'x')).error().code ==
      Code::too_large);
  CHECK(notices.take(::getuid(), "\xff\xfe").error().code == Code::invalid);
  CHECK(notices.take(::getuid(), " \n").error().code == Code::invalid);
  CHECK(must(store::Notices(host.store()).list(10)).notices.empty());
}
