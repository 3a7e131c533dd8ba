/* SPDX-License-Identifier: Apache-2.0 */
#include "commands.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ndbuf/ndbuf.h"

static const char help[] = "usage: ndbuf COMMAND [ARGUMENTS]\n"
                           "\n"
                           "  devices   what is here, and why something is not\n"
                           "  format    a PEP 3118 format laid out: offsets, sizes, padding\n"
                           "  show      the first items of a view of a .npy file, from any device\n"
                           "  explain   how a view of a .npy file would be copied to a device, without doing it\n"
                           "  copy      a view of a .npy file to a device and back into another file, verified\n"
                           "  bench     transfers between the devices here, against memcpy and hand-written calls\n"
                           "\n"
                           "  ndbuf COMMAND --help   more about one of them\n"
                           "  ndbuf --version\n"
                           "\n"
                           "exit status: 0 done, 1 failed, 2 the command line is wrong\n";

static const struct {
    const char *name;
    int (*run)(args_reader *args);
} commands[] = {
    {"devices", command_devices}, {"format", command_format}, {"explain", command_explain},
    {"copy", command_copy},       {"show", command_show},     {"bench", command_bench},
};

static int run(int argc, char **argv)
{
    if (argc < 2) {
        fputs(help, stderr);
        return EXIT_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0 || strcmp(name, "help") == 0) {
        fputs(help, stdout);
        return EXIT_DONE;
    }
    if (strcmp(name, "--version") == 0) {
        printf("ndbuf %s\n", ndbuf_version());
        return EXIT_DONE;
    }
    for (size_t k = 0; k < sizeof(commands) / sizeof(commands[0]); k++) {
        if (strcmp(name, commands[k].name) == 0) {
            args_reader args = {name, argc, argv, 2, 0};
            return commands[k].run(&args);
        }
    }
    fprintf(stderr, "ndbuf: no command '%.128s'\nndbuf: see 'ndbuf --help'\n", name);
    return EXIT_USAGE;
}

int main(int argc, char **argv)
{
    int exit_code = run(argc, argv);
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && exit_code == EXIT_DONE) {
        fprintf(stderr, "ndbuf: cannot write the output: %s\n", errno != 0 ? strerror(errno) : "a write failed");
        return EXIT_FAILED;
    }
    return exit_code;
}
