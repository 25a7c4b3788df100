/* Prints the nanoseconds of a system call that does next to nothing: the least of some
 * turns, as other work of the machine only lengthens them. */
#include "bench.h"

#include <sys/syscall.h>

#define N_TURNS 50
#define N_CALLS 10000

int main(void)
{
	double least_ns = 0;

	for (int turn = 0; turn < N_TURNS; turn++) {
		uint64_t begun_ns = used_ns();

		for (int i = 0; i < N_CALLS; i++)
			syscall(SYS_getppid);
		double each_ns = (double)(used_ns() - begun_ns) / N_CALLS;
		if (turn == 0 || each_ns < least_ns)
			least_ns = each_ns;
	}
	printf("%.1f\n", least_ns);
	return 0;
}
