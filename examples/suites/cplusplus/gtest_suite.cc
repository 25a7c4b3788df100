/* A suite with GoogleTest; the second test is red under sockleak. */
#include "server.h"

#include "sockleak_gtest.h"

TEST(Server, AnswersAPing)
{
	EXPECT_TRUE(is_answered("ping\n"));
}

TEST(Server, RefusesNonsense)
{
	EXPECT_FALSE(is_answered("nonsense\n"));
}

TEST(Server, AnswersAfterNonsense)
{
	EXPECT_TRUE(is_answered("ping\n"));
}
