// Metrics as text: in the format that a reader prefers, and never more lines than samples.
#include "catch.hpp"

#include "control/exposition.hpp"

#include <array>

using namespace chillbox::control;

namespace {

std::string example(MetricsFormat format) {
  Exposition out(format);
  out.family("a_requests", MetricKind::counter, "How many.");
  out.sample({{"site", "blog"}, {"code", "200"}}, uint64_t{18'446'744'073'709'551'615U});
  out.family("a_nothing", MetricKind::gauge, "Without a sample there is no family.");
  out.family("a_build", MetricKind::info, "What it is.");
  out.info({{"version", "1.0"}});
  out.family("a_load", MetricKind::gauge, "A fraction.");
  out.sample({}, 0.25);
  out.family("a_start_seconds", MetricKind::gauge, "A time.");
  out.time({}, 1'764'000'000'005);
  out.family("a_seconds", MetricKind::histogram, "A spread.");
  const std::array<double, 2> bounds{0.5, 1};
  const std::array<uint64_t, 3> counts{1, 2, 3};
  out.histogram({{"site", "blog"}}, bounds, counts, 7.5);
  out.family("a_job_seconds", MetricKind::summary, "A sum.");
  out.summary({}, 3, 1.5);
  CHECK(out.series() == 11);
  return std::move(out).finish();
}

} // namespace

TEST_CASE("the text format knows a family by its samples, and OpenMetrics has an end") {
  CHECK(example(MetricsFormat::text) ==
      "# HELP a_requests_total How many.\n# TYPE a_requests_total counter\n"
      "a_requests_total{site=\"blog\",code=\"200\"} 18446744073709551615\n"
      "# HELP a_build_info What it is.\n# TYPE a_build_info gauge\na_build_info{version=\"1.0\"} 1\n"
      "# HELP a_load A fraction.\n# TYPE a_load gauge\na_load 0.25\n"
      "# HELP a_start_seconds A time.\n# TYPE a_start_seconds gauge\na_start_seconds 1764000000.005\n"
      "# HELP a_seconds A spread.\n# TYPE a_seconds histogram\n"
      "a_seconds_bucket{site=\"blog\",le=\"0.5\"} 1\na_seconds_bucket{site=\"blog\",le=\"1\"} 3\n"
      "a_seconds_bucket{site=\"blog\",le=\"+Inf\"} 6\na_seconds_count{site=\"blog\"} 6\na_seconds_sum{site=\"blog\"} 7.5\n"
      "# HELP a_job_seconds A sum.\n# TYPE a_job_seconds summary\na_job_seconds_count 3\na_job_seconds_sum 1.5\n");
  const auto open = example(MetricsFormat::openmetrics);
  CHECK(open.find("# TYPE a_requests counter\na_requests_total{") != std::string::npos);
  CHECK(open.find("# TYPE a_build info\na_build_info{") != std::string::npos);
  CHECK(open.find("le=\"1.0\"} 3\n") != std::string::npos);
  CHECK(open.ends_with("a_job_seconds_sum 1.5\n# EOF\n"));
}

TEST_CASE("[fault-716] a label that would end its line is escaped") {
  Exposition out(MetricsFormat::text);
  out.family("a", MetricKind::gauge, "h");
  out.sample({{"site", "a\"b\\c\nd"}}, uint64_t{1});
  CHECK(std::move(out).finish() == "# HELP a h\n# TYPE a gauge\na{site=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST_CASE("a reader gets the format that it prefers, and the older one if it does not say") {
  const auto [accept, open] = GENERATE(table<std::string, bool>({{"", false}, {"*/*", false},
      {"text/plain", false}, {"application/openmetrics-text", true},
      {"application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.1",
          true},
      {"application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5", false},
      {"text/plain;version=0.0.4;q=0.9, application/openmetrics-text; version=1.0.0; q=0.5", false},
      {"application/openmetrics-text;q=0", false}, {"nonsense;q=,;;,", false}}));
  INFO(accept);
  CHECK((preferred_format(accept) == MetricsFormat::openmetrics) == open);
}
