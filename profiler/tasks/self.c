#include "profiler/tasks/self.h"

__thread struct thread_self thread_self __attribute__((tls_model("initial-exec")));
