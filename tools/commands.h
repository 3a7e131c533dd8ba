/* SPDX-License-Identifier: Apache-2.0 */
#ifndef NDBUF_TOOLS_COMMANDS_H
#define NDBUF_TOOLS_COMMANDS_H

#include "args.h"

/* The commands of `ndbuf`, each in command_<name>.c. They read the arguments behind their name, and return EXIT_DONE,
 * EXIT_FAILED or EXIT_USAGE; what went wrong is told on stderr. */
int command_devices(args_reader *args);
int command_format(args_reader *args);
int command_explain(args_reader *args);
int command_copy(args_reader *args);
int command_show(args_reader *args);
int command_bench(args_reader *args);

#endif
