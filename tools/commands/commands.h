/* The subcommands: one file each, called by main() (sockleak.c) through its table.
 * argv[0] is the subcommand's name; each parses its own options with getopt_long,
 * answers --help on standard output, and returns the exit status. */
#ifndef SOCKLEAK_COMMANDS_H
#define SOCKLEAK_COMMANDS_H

int command_run(int argc, char **argv);
int command_report(int argc, char **argv);
int command_list(int argc, char **argv);
int command_top(int argc, char **argv);
int command_scan(int argc, char **argv);
int command_symbolize(int argc, char **argv);

#endif
