/* Descriptors that a supervisor hands to a program it executes: systemd's socket
 * activation, sd_listen_fds(3). */
#ifndef SOCKLEAK_ACTIVATION_H
#define SOCKLEAK_ACTIVATION_H

/* How many descriptors from 3 on were passed to this process: LISTEN_FDS, if LISTEN_PID
 * is this process; 0 = none.  Reads the environment, so only where no other thread
 * changes it: at the start and at the end. */
unsigned activation_n_fds(void);

#endif
