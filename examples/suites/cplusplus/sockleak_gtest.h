/* sockleak_gtest.h: a test of GoogleTest that leaves a socket open turns red, and says
 * which.  To be included once anywhere in the suite, and nothing more:
 *
 *	#include <sockleak_gtest.h>
 *
 *	$ LD_PRELOAD=$(sockleak --library) ./suite
 *
 * Each test gets its name and a mark before, and is asked for what is left after it.  The
 * question returns at once where nothing is left; a close that is on its way gets half a
 * second.  Without the library the header does nothing.  C++11. */
#ifndef SOCKLEAK_GTEST_H
#define SOCKLEAK_GTEST_H

#include <gtest/gtest.h>
#include <sockleak.h>

#include <string>

namespace sockleak
{

class Listener : public ::testing::EmptyTestEventListener
{
	uint64_t mark_ = 0;

	void OnTestStart(const ::testing::TestInfo &test) override
	{
		const std::string name =
			std::string(test.test_suite_name()) + "." + test.name();
		sockleak_name(name.c_str());
		mark_ = sockleak_mark();
	}

	void OnTestEnd(const ::testing::TestInfo &) override
	{
		const int n_left = sockleak_check_since(mark_, 500);
		sockleak_name(nullptr);
		if (n_left == 0)
			return;
		std::string text(sockleak_text(nullptr, 0) + 1, '\0');
		sockleak_text(&text[0], text.size());
		ADD_FAILURE() << n_left << " socket(s) left open\n" << text.c_str();
	}
};

/* A static member of a template is defined once, however many files include this. */
template <typename T> struct Registered {
	static const bool is_done;
};
template <typename T>
const bool Registered<T>::is_done =
	(::testing::UnitTest::GetInstance()->listeners().Append(new T), true);
template struct Registered<Listener>;

} // namespace sockleak

#endif
