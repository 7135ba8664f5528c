#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GO_ON = -1, DONE = 0, WRONG = 2 };

enum { COUNT_MAX = 100000, DURATION_MAX = 31536000, FIBERS_MAX = 100000 };
static const double rate_min = 0.01, rate_max = 1000, rate_default = 5;

__attribute__((format(printf, 2, 3))) static int complain(const struct program *program,
                                                          const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "%s: ", program->name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
    return WRONG;
}

static void print_names(FILE *to, const struct patterns *patterns)
{
    for (unsigned i = 0; i < patterns->count; i++)
        fprintf(to, "%s%s", i ? ", " : "", patterns->list[i]->name);
}

static int print_list(const struct program *program)
{
    for (unsigned i = 0; i < program->patterns->count; i++)
        printf("%-24s %s\n", program->patterns->list[i]->name, program->patterns->list[i]->story);
    return DONE;
}

static int print_help(const struct program *program)
{
    printf("%s\n\n"
           "Usage: %s [OPTION…]\n"
           "  --leak NAME,…      leak in these ways; `all` for every one (default: none)\n"
           "  --list             list the ways and exit\n"
           "  --fixed            run their corrected twins: the same work, no leak\n"
           "  --rate N           rounds a second, of each (default %g, %g … %g)\n"
           "  --count N          stop after N rounds of each, and say what was leaked\n"
           "  --http ADDR:PORT   where to serve profiles; port 0 takes a free one, `off` none\n"
           "                     (default 127.0.0.1:6060)\n"
           "  --duration S       end after S seconds (default: at SIGINT or SIGTERM)\n",
           program->about, program->name, rate_default, rate_min, rate_max);
    if (program->fibers)
        printf("  --fibers N         idle fibers besides (default %u, at most %d)\n",
               program->fibers, FIBERS_MAX);
    printf("  --help             this text\n\n"
           "Ways to leak: ");
    print_names(stdout, program->patterns);
    printf("\n");
    return DONE;
}

static int choose(const struct program *program, const char *name, size_t length,
                  struct options *options)
{
    const struct patterns *patterns = program->patterns;
    bool all = length == 3 && memcmp(name, "all", 3) == 0;
    bool known = all;
    for (unsigned i = 0; i < patterns->count; i++) {
        const char *candidate = patterns->list[i]->name;
        if (all || (strlen(candidate) == length && memcmp(candidate, name, length) == 0))
            known = options->chosen[i] = true;
    }
    if (known)
        return GO_ON;
    fprintf(stderr, "%s: --leak: no way to leak is called '%.*s'; there are: ", program->name,
            (int)length, name);
    print_names(stderr, patterns);
    fprintf(stderr, ", or all\n");
    return WRONG;
}

static int parse_leaks(const struct program *program, const char *names, struct options *options)
{
    int status = GO_ON;
    while (status == GO_ON) {
        size_t length = strcspn(names, ",");
        status = choose(program, names, length, options);
        if (names[length] == '\0')
            break;
        names += length + 1;
    }
    return status;
}

static int parse_number(const struct program *program, const char *option, const char *text,
                        unsigned long max, unsigned *ret)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end || errno || value < 1 || value > max)
        return complain(program, "--%s: '%s' is not a whole number from 1 to %lu", option, text,
                        max);
    *ret = (unsigned)value;
    return GO_ON;
}

static int parse_rate(const struct program *program, const char *text, double *ret)
{
    char *end;
    double value = strtod(text, &end);
    if (end == text || *end || !(value >= rate_min && value <= rate_max))
        return complain(program, "--rate: '%s' is not a number from %g to %g", text, rate_min,
                        rate_max);
    *ret = value;
    return GO_ON;
}

enum { LEAK = 1, LIST, FIXED, RATE, COUNT, HTTP, DURATION, HELP, FIBERS };

static int parse_one(const struct program *program, int option, struct options *ret)
{
    switch (option) {
    case LEAK:
        return parse_leaks(program, optarg, ret);
    case LIST:
        return print_list(program);
    case FIXED:
        ret->fixed = true;
        return GO_ON;
    case RATE:
        return parse_rate(program, optarg, &ret->rate);
    case COUNT:
        return parse_number(program, "count", optarg, COUNT_MAX, &ret->count);
    case HTTP:
        ret->http = optarg;
        return GO_ON;
    case DURATION:
        return parse_number(program, "duration", optarg, DURATION_MAX, &ret->duration);
    case FIBERS:
        return parse_number(program, "fibers", optarg, FIBERS_MAX, &ret->fibers);
    case HELP:
        return print_help(program);
    default: // getopt has said what is wrong
        fprintf(stderr, "%s: see %s --help\n", program->name, program->name);
        return WRONG;
    }
}

int options_parse(const struct program *program, int argc, char **argv, struct options *ret)
{
    const struct option known[] = {
        {"leak", required_argument, NULL, LEAK},
        {"list", no_argument, NULL, LIST},
        {"fixed", no_argument, NULL, FIXED},
        {"rate", required_argument, NULL, RATE},
        {"count", required_argument, NULL, COUNT},
        {"http", required_argument, NULL, HTTP},
        {"duration", required_argument, NULL, DURATION},
        {"help", no_argument, NULL, HELP},
        // Last: for a program without fibers the list ends here.
        {program->fibers ? "fibers" : NULL, required_argument, NULL, FIBERS},
        {NULL, 0, NULL, 0},
    };
    struct options options = {
        .patterns = program->patterns,
        .rate = rate_default,
        .fibers = program->fibers,
    };
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        int status = parse_one(program, option, &options);
        if (status != GO_ON)
            return status;
    }
    if (optind < argc)
        return complain(program, "'%s' is not an option; see %s --help", argv[optind],
                        program->name);
    *ret = options;
    return GO_ON;
}
