/* sockleak_catch2.h: a test case of Catch2 (2 or 3) that leaves a socket open turns red,
 * and says which.  To be included behind Catch2's own header in one file of the suite,
 *and nothing more:
 *
 *	#include <catch2/catch_test_macros.hpp>
 *	#include <sockleak_catch2.h>
 *
 *	$ LD_PRELOAD=$(sockleak --library) ./suite
 *
 * Each test case gets its name and a mark before, and is asked for what is left after
 *each run of it (it is run once for each of its innermost sections).  The question
 *returns at once where nothing is left; a close that is on its way gets half a second.
 *Without the library the header does nothing. */
#ifndef SOCKLEAK_CATCH2_H
#define SOCKLEAK_CATCH2_H

#include <sockleak.h>

#include <string>

#if __has_include(<catch2/reporters/catch_reporter_event_listener.hpp>)
#include <catch2/catch_test_case_info.hpp>
#include <catch2/catch_test_macros.hpp>
#include <catch2/reporters/catch_reporter_event_listener.hpp>
#include <catch2/reporters/catch_reporter_registrars.hpp>
namespace sockleak
{
using ListenerBase = Catch::EventListenerBase;
} // namespace sockleak
#else
namespace sockleak
{
using ListenerBase = Catch::TestEventListenerBase;
} // namespace sockleak
#endif

namespace sockleak
{

class Listener : public ListenerBase
{
	uint64_t mark_ = 0;
	unsigned depth_ = 0;

      public:
	using ListenerBase::ListenerBase;

	void testCaseStarting(Catch::TestCaseInfo const &test) override
	{
		ListenerBase::testCaseStarting(test);
		sockleak_name(test.name.c_str());
	}

	void sectionStarting(Catch::SectionInfo const &section) override
	{
		ListenerBase::sectionStarting(section);
		if (depth_++ == 0)
			mark_ = sockleak_mark();
	}

	/* The outermost section is the test case itself: what fails here still counts. */
	void sectionEnded(Catch::SectionStats const &section) override
	{
		ListenerBase::sectionEnded(section);
		if (--depth_ > 0)
			return;
		const int n_left = sockleak_check_since(mark_, 500);
		if (n_left == 0)
			return;
		std::string text(sockleak_text(nullptr, 0) + 1, '\0');
		sockleak_text(&text[0], text.size());
		FAIL_CHECK(n_left << " socket(s) left open\n" << text.c_str());
	}

	void testCaseEnded(Catch::TestCaseStats const &test) override
	{
		ListenerBase::testCaseEnded(test);
		sockleak_name(nullptr);
	}
};

CATCH_REGISTER_LISTENER(Listener)

} // namespace sockleak

#endif
