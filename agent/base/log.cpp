#include "base/log.hpp"

#include "base/text.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <memory>

namespace chillbox::log {
namespace {

std::shared_ptr<spdlog::logger> g_logger;

void write(spdlog::level::level_enum level, std::string_view text) {
  if (g_logger)
    g_logger->log(level, spdlog::string_view_t(text.data(), text.size()));
}

} // namespace

void init(std::string_view process, Level level) {
  static constexpr spdlog::level::level_enum k_levels[] = {
      spdlog::level::debug, spdlog::level::info, spdlog::level::warn, spdlog::level::err};
  auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  g_logger = std::make_shared<spdlog::logger>(std::string(process), std::move(sink));
  g_logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %n[%P]: %v");
  g_logger->set_level(k_levels[static_cast<int>(level)]);
  g_logger->set_error_handler(
      [](const std::string&) {}); // a full disk must not stop the daemon (faults 99)
}

void debug(std::string_view text) {
  write(spdlog::level::debug, text);
}
void info(std::string_view text) {
  write(spdlog::level::info, text);
}
void warn(std::string_view text) {
  write(spdlog::level::warn, text);
}
void error(std::string_view text) {
  write(spdlog::level::err, text);
}

} // namespace chillbox::log
