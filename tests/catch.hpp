// Catch2 in the version that the machine has: 2 (Debian 12) or 3 (Debian 13, Alpine).
#pragma once
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#else
#include <new> // Catch2 2 leaves it to what another standard library includes

#include <catch2/catch.hpp>
#endif
