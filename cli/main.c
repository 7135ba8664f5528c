// The taskprof command: which of its subcommands is meant.

#include "cli/complain.h"
#include "cli/run.h"

#include <stdio.h>
#include <string.h>
#include <taskprof/taskprof.h>

static void help(FILE *into)
{
    fputs("taskprof: a leak profiler for C programs that speaks pprof\n"
          "\n"
          "    taskprof run [OPTIONS] -- COMMAND [ARGUMENT…]\n"
          "            runs a program that was never changed, with taskprof in it\n"
          "    taskprof help run\n"
          "    taskprof --version\n",
          into);
}

static bool is(const char *word, const char *one, const char *other)
{
    return strcmp(word, one) == 0 || strcmp(word, other) == 0;
}

int main(int argc, char **argv)
{
    const char *word = argc > 1 ? argv[1] : "";
    if (strcmp(word, "run") == 0)
        return run_command(argc - 1, argv + 1);
    if (is(word, "--version", "version")) {
        puts("taskprof " TASKPROF_VERSION);
        return 0;
    }
    if (is(word, "help", "--help") || strcmp(word, "-h") == 0) {
        if (argc > 2 && strcmp(argv[2], "run") == 0)
            run_help(stdout);
        else
            help(stdout);
        return 0;
    }
    if (word[0])
        complain("there is no command \"%s\". Did you mean: taskprof run -- %s", word, word);
    help(stderr);
    return EXIT_OURS;
}
