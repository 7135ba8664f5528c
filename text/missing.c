#include "text/missing.h"

#include "profiler/base/clock.h"

#include <errno.h>
#include <string.h>

static const char *error_text(int error)
{
    const char *text = strerrordesc_np(-error);
    return text ? text : "unknown error";
}

static const char *why(int error)
{
    switch (-error) {
    case ENOENT:
        return " (no /proc: a chroot, or a container without it)";
    case EACCES:
    case EPERM:
        return " (a sandbox, or privileges that were dropped)";
    case ESRCH:
        return " (this /proc is another process's or another PID namespace's)";
    default:
        return "";
    }
}

static void no_proc(struct buffer *out, const struct snapshot *snapshot)
{
    buffer_printf(out,
                  "missing: threads that never called taskprof, and what threads outside parks do: "
                  "/proc/self/task: %s%s",
                  error_text(snapshot->proc_error), why(snapshot->proc_error));
}

static void no_maps(struct buffer *out, const struct snapshot *snapshot)
{
    buffer_printf(out, "missing: stacks in code that was not met before: /proc/self/maps: %s%s",
                  error_text(snapshot->maps_error), why(snapshot->maps_error));
}

static void unreadable(struct buffer *out, const struct snapshot *snapshot)
{
    buffer_printf(out, "missing: what %llu threads do: /proc/self/task/TID: %s%s",
                  (unsigned long long)snapshot->unreadable, error_text(snapshot->unreadable_error),
                  why(snapshot->unreadable_error));
}

static void not_asked(struct buffer *out, const struct snapshot *snapshot)
{
    static const char *const what = "missing: stacks of running threads: ";
    if (snapshot->ask_error == -ENOSYS)
        buffer_printf(out, "%sbefore Linux 6.1 they can't be asked without ending system calls",
                      what);
    else if (snapshot->ask_error == -EBUSY)
        buffer_printf(out, "%sthe application uses every signal", what);
    else if (snapshot->ask_error)
        buffer_printf(out, "%s%s", what, error_text(snapshot->ask_error));
    else
        buffer_printf(out, "asked %llu running threads for their stacks, %llu answered",
                      (unsigned long long)snapshot->asked, (unsigned long long)snapshot->answered);
    if (!snapshot->ask_error && snapshot->unasked)
        buffer_printf(out,
                      "; %llu others run and have none: they can't be asked, or run too shortly at "
                      "a time",
                      (unsigned long long)snapshot->unasked);
}

void text_missing(struct buffer *out, const struct snapshot *snapshot, const char *before,
                  const char *behind)
{
    const struct {
        bool is;
        void (*tell)(struct buffer *, const struct snapshot *);
    } all[] = {
        {snapshot->proc_error, no_proc},
        {snapshot->maps_error, no_maps},
        {!snapshot->proc_error && snapshot->unreadable_error, unreadable},
        {snapshot->ask_error || snapshot->asked || snapshot->unasked, not_asked},
    };
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (all[i].is) {
            buffer_string(out, before);
            all[i].tell(out, snapshot);
            buffer_string(out, behind);
        }
    for (size_t i = 0; i < snapshot->left_out_count; i++) {
        buffer_string(out, before);
        budget_write(out, &snapshot->left_out[i], snapshot->monotonic_ns);
        buffer_string(out, behind);
    }
}

// Whether the snapshot has told it already.
static bool is_told(const struct snapshot *snapshot, const struct budget_report *report)
{
    for (size_t i = 0; i < snapshot->left_out_count; i++)
        if (snapshot->left_out[i].budget == report->budget)
            return snapshot->left_out[i].left_out == report->left_out;
    return false;
}

void text_missing_since(struct buffer *out, const struct snapshot *snapshot, const char *before,
                        const char *behind)
{
    struct budget_report reports[BUDGET_REPORTS];
    size_t count = budget_reports(reports, BUDGET_REPORTS);
    for (size_t i = 0; i < count; i++)
        if (!is_told(snapshot, &reports[i])) {
            buffer_string(out, before);
            budget_write(out, &reports[i], clock_monotonic_ns());
            buffer_string(out, behind);
        }
}
