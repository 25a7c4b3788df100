/* A thread waits for the signals, so that what a handler may not do (free memory, read
 * directories) can be done while the other thread is anywhere: it may hang for ever in a
 * debuginfod that does not answer, or in a pipe that no process reads. */
#include "run/interrupts.h"

#include "support/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <time.h>
#include <unistd.h>

static struct {
	void (*clean)(void *of);
	void *of;
	unsigned patience_ms;
	/* Set by the thread that ends the process: at the end of the report, or by a
	 * signal. */
	atomic_bool is_ending;
} watching;

static void fill(sigset_t *ending)
{
	sigemptyset(ending);
	sigaddset(ending, SIGHUP);
	sigaddset(ending, SIGINT);
	sigaddset(ending, SIGQUIT);
	sigaddset(ending, SIGTERM);
}

static bool is_ignored(int signal_number)
{
	struct sigaction action;

	return sigaction(signal_number, NULL, &action) == 0 &&
	       action.sa_handler == SIG_IGN;
}

static _Noreturn void end_by(int signal_number)
{
	sigset_t all;

	watching.clean(watching.of);
	signal(signal_number, SIG_DFL);
	sigfillset(&all);
	pthread_sigmask(SIG_UNBLOCK, &all, NULL);
	kill(getpid(), signal_number);
	_exit(128 + signal_number);
}

static void *wait_for_signal(void *nothing)
{
	sigset_t ending;
	int got;

	fill(&ending);
	do
		if (sigwait(&ending, &got) != 0)
			return nothing;
	while (is_ignored(got));
	clock_sleep_ms(watching.patience_ms);
	if (!atomic_exchange(&watching.is_ending, true))
		end_by(got);
	return nothing;
}

void interrupts_watch(void (*clean)(void *of), void *of, unsigned patience_ms)
{
	sigset_t ending;
	pthread_t thread;

	fill(&ending);
	while (sigtimedwait(&ending, NULL, &(struct timespec){0, 0}) > 0)
		;
	watching.clean = clean;
	watching.of = of;
	watching.patience_ms = patience_ms;
	if (pthread_create(&thread, NULL, wait_for_signal, NULL) == 0)
		pthread_detach(thread);
}

void interrupts_end(void)
{
	/* The other thread ends the process now. */
	while (atomic_exchange(&watching.is_ending, true))
		pause();
}
