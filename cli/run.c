#include "cli/run.h"

#include "cli/complain.h"
#include "cli/preload_path.h"
#include "cli/program.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

// What the options say. NULL: not given, the environment's value or the default holds.
struct wanted {
    const char *http;
    const char *snapshots;
    const char *every;
    const char *keep;
    const char *channels;
    bool children;
    bool help;
};

void run_help(FILE *into)
{
    fputs(
        "taskprof run: runs a program that was never changed, with taskprof in it\n"
        "\n"
        "    taskprof run [OPTIONS] -- COMMAND [ARGUMENT…]\n"
        "\n"
        "    --http ADDRESS:PORT   where to serve /debug/pprof/; default 127.0.0.1:0, which\n"
        "                          takes a free port. One line on stderr says where\n"
        "    --snapshots DIR       keeps a goroutine profile in DIR now and then, for\n"
        "                          go tool pprof -diff_base\n"
        "    --every TIME          how often: 90s, 5m, 1h; default 1m\n"
        "    --keep N              how many; older ones are deleted; default 60\n"
        "    --channels FILE       descriptions of the program's own queue types\n"
        "    --children            programs that it executes get an endpoint each, too\n"
        "\n"
        "The program runs as without: its exit code, signals, input and output are its own.\n"
        "Exit code 125: taskprof could not; 126, 127: the program could not be executed, found.\n",
        into);
}

// "90", "90s", "5m", "1h", "1d" as seconds; 0: none of these, or more than a day.
static unsigned seconds_of(const char *text)
{
    char *end;
    errno = 0;
    unsigned long number = strtoul(text, &end, 10);
    unsigned long unit = strcmp(end, "m") == 0   ? 60
                         : strcmp(end, "h") == 0 ? 3600
                         : strcmp(end, "d") == 0 ? 86400
                                                 : 1;
    bool has_unit = *end == '\0' || (strchr("smhd", *end) && !end[1]);
    if (errno || end == text || text[0] == '-' || !has_unit || number > 86400 / unit)
        return 0;
    return (unsigned)(number * unit);
}

// Not in the program's process: from there nothing could be said.
static int check_folder(const char *path)
{
    if (mkdir(path, 0777) != 0 && errno != EEXIST) {
        complain("--snapshots %s: it is not there and can't be made: %s", path, strerror(errno));
        return EXIT_OURS;
    }
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISDIR(status.st_mode)) {
        complain("--snapshots %s: that is not a folder", path);
        return EXIT_OURS;
    }
    if (access(path, W_OK | X_OK) != 0) {
        complain("--snapshots %s: %s", path, strerror(errno));
        return EXIT_OURS;
    }
    return 0;
}

static int check(const struct wanted *wanted)
{
    if (wanted->every && !seconds_of(wanted->every)) {
        complain("--every %s: right would be a time of 1s to 1d, such as 90s, 5m or 1h",
                 wanted->every);
        return EXIT_OURS;
    }
    if (wanted->keep && (strspn(wanted->keep, "0123456789") != strlen(wanted->keep) ||
                         strlen(wanted->keep) > 6 || strtoul(wanted->keep, NULL, 10) == 0)) {
        complain("--keep %s: right would be a number of 1 to 999999", wanted->keep);
        return EXIT_OURS;
    }
    if ((wanted->every || wanted->keep) && !wanted->snapshots && !getenv("TASKPROF_SNAPSHOTS")) {
        complain("--every and --keep say nothing without --snapshots DIR");
        return EXIT_OURS;
    }
    if (wanted->channels && access(wanted->channels, R_OK) != 0) {
        complain("--channels %s: %s", wanted->channels, strerror(errno));
        return EXIT_OURS;
    }
    return wanted->snapshots ? check_folder(wanted->snapshots) : 0;
}

// The index of the command in argv, or -1 when an option was not understood.
static int parse(int argc, char **argv, struct wanted *ret)
{
    static const struct option options[] = {
        {"http", required_argument, NULL, 'a'},     {"snapshots", required_argument, NULL, 's'},
        {"every", required_argument, NULL, 'e'},    {"keep", required_argument, NULL, 'k'},
        {"channels", required_argument, NULL, 'c'}, {"children", no_argument, NULL, 'f'},
        {"help", no_argument, NULL, 'h'},           {0},
    };
    *ret = (struct wanted){0};
    opterr = 0;
    for (;;) {
        // '+': what follows the command is the command's.
        switch (getopt_long(argc, argv, "+:h", options, NULL)) {
        case 'a':
            ret->http = optarg;
            break;
        case 's':
            ret->snapshots = optarg;
            break;
        case 'e':
            ret->every = optarg;
            break;
        case 'k':
            ret->keep = optarg;
            break;
        case 'c':
            ret->channels = optarg;
            break;
        case 'f':
            ret->children = true;
            break;
        case 'h':
            ret->help = true;
            break;
        case ':':
            complain("%s needs a value; taskprof help run shows them all", argv[optind - 1]);
            return -1;
        case '?':
            complain("run has no option %s; taskprof help run shows them all. The program's own "
                     "options stand behind it: taskprof run -- COMMAND ARGUMENT…",
                     argv[optind - 1]);
            return -1;
        default:
            return optind;
        }
    }
}

static bool set(const char *variable, const char *value)
{
    if (!value || setenv(variable, value, 1) == 0)
        return true;
    complain("%s: %s", variable, strerror(errno));
    return false;
}

// A path that still means the same after a chdir of the program's.
static bool set_path(const char *variable, const char *path)
{
    char absolute[PATH_MAX];
    if (path && !realpath(path, absolute)) {
        complain("%s: %s", path, strerror(errno));
        return false;
    }
    return set(variable, path ? absolute : NULL);
}

static bool set_preload(const char *path)
{
    const char *others = getenv("LD_PRELOAD");
    char *all = NULL;
    if (others && others[0] && asprintf(&all, "%s:%s", path, others) < 0) {
        complain("LD_PRELOAD: %s", strerror(errno));
        return false;
    }
    bool good = set("LD_PRELOAD", all ? all : path);
    free(all);
    return good;
}

static bool set_environment(const struct wanted *wanted, const char *preload)
{
    char every[16];
    if (wanted->every)
        snprintf(every, sizeof(every), "%u", seconds_of(wanted->every));
    const char *http = wanted->http;
    if (!http && !getenv("TASKPROF_HTTP"))
        http = "127.0.0.1:0";
    return set("TASKPROF_HTTP", http) && set_path("TASKPROF_SNAPSHOTS", wanted->snapshots) &&
           set("TASKPROF_SNAPSHOTS_EVERY", wanted->every ? every : NULL) &&
           set("TASKPROF_SNAPSHOTS_KEEP", wanted->keep) &&
           set_path("TASKPROF_CHANNELS", wanted->channels) &&
           set("TASKPROF_CHILDREN", wanted->children ? "1" : NULL) && set_preload(preload);
}

int run_command(int argc, char **argv)
{
    struct wanted wanted;
    char preload[PATH_MAX];
    char program[PATH_MAX];
    int command = parse(argc, argv, &wanted);
    if (command < 0)
        return EXIT_OURS;
    if (wanted.help) {
        run_help(stdout);
        return 0;
    }
    if (command == argc) {
        complain("which program? taskprof run [OPTIONS] -- COMMAND [ARGUMENT…]");
        return EXIT_OURS;
    }
    int failed = check(&wanted);
    if (!failed)
        failed = program_find(argv[command], program);
    if (failed)
        return failed;
    if (preload_path(preload) != 0 || !set_environment(&wanted, preload))
        return EXIT_OURS;
    // Not execv: a file without "#!" is a script of sh's, as everywhere.
    execvp(program, argv + command);
    complain("%s: %s", program, strerror(errno));
    return errno == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE;
}
