/* A suite with Catch2, version 2 or 3; the second test case is red under sockleak. */
#if __has_include(<catch2/catch_test_macros.hpp>)
#include <catch2/catch_test_macros.hpp>
#else
#define CATCH_CONFIG_MAIN
#include <catch2/catch.hpp>
#endif

#include "server.h"

#include "sockleak_catch2.h"

TEST_CASE("answers a ping")
{
	CHECK(is_answered("ping\n"));
}

TEST_CASE("refuses nonsense")
{
	SECTION("of one line")
	{
		CHECK_FALSE(is_answered("nonsense\n"));
	}
	SECTION("but not a ping")
	{
		CHECK(is_answered("ping\n"));
	}
}

TEST_CASE("answers after nonsense")
{
	CHECK(is_answered("ping\n"));
}
