// Frames that only C++ has, for origin_unwind_test.c: with an exception in flight above
// them, and in the middle of being thrown.
#include <functional>
#include <stdexcept>
#include <vector>

extern "C" {
void grow(unsigned depth);
void cxx_catch(unsigned depth);
void cxx_destructor(unsigned depth);
void cxx_rethrow(unsigned depth);
void cxx_function(unsigned depth);
}

namespace
{
void keep()
{
	__asm__ volatile("" ::: "memory");
}

struct grower {
	unsigned depth;
	~grower()
	{
		grow(depth);
		keep();
	}
};

__attribute__((noinline)) void throws(unsigned depth)
{
	std::vector<int> some(depth + 3);
	if (some.size() > 2)
		throw std::runtime_error("on purpose");
	keep();
}

__attribute__((noinline)) void throws_past(unsigned depth)
{
	grower last{depth};
	throws(depth);
	keep();
}

__attribute__((noinline)) void catches_and_throws(unsigned depth)
{
	try {
		throws(depth);
	} catch (...) {
		grower last{depth};
		throw;
	}
}
} // namespace

void cxx_catch(unsigned depth)
{
	try {
		throws(depth);
	} catch (const std::exception &) {
		grow(depth);
		keep();
	}
}

// The destructor runs while the exception is on its way to the catch below.
void cxx_destructor(unsigned depth)
{
	try {
		throws_past(depth);
	} catch (const std::exception &) {
		keep();
	}
}

void cxx_rethrow(unsigned depth)
{
	try {
		catches_and_throws(depth);
	} catch (const std::exception &) {
		keep();
	}
}

void cxx_function(unsigned depth)
{
	std::function<void(unsigned)> call = [](unsigned d) {
		grow(d);
		keep();
	};
	call(depth);
	keep();
}
