#include "http/mhd.h"

#include "http/mhd_fds.h"
#include "http/mhd_request.h"
#include "http/seats.h"
#include "profiler/base/clock.h"
#include "profiler/base/lock.h"
#include "profiler/base/own_fd.h"
#include "profiler/tasks/own_thread.h"

#include <errno.h>
#include <microhttpd.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SECOND 1000000000u

enum {
    REQUEST_TIMEOUTS = 2, // of silence are the time for a whole request, the wait for it included
    PATIENCE_S = 1,       // without a sign of life, to be called stuck …
    PATIENCE_AT_WORK_S = 10, // … while it takes a snapshot or renders
};

enum end { END_RUNNING, END_DONE, END_ABANDONED };

struct mhd {
    pthread_t thread;
    const struct http_settings settings;
    struct MHD_Daemon *daemon;
    int event; // wakes the thread
    _Atomic bool stopping;
    _Atomic uint32_t end; // enum end, and a futex

    // The connection on offer. An odd number: there is one. Who changes it to the next even number
    // owns the connection: the thread takes it, or the one that offered takes it back.
    _Atomic uint32_t offer;
    int offered_fd;
    struct sockaddr_storage offered_address;
    socklen_t offered_length;
    int offered_seat;

    struct mhd_life life;
    bool stuck; // the offering thread's: it was stuck when life.beats was this
    uint64_t stuck_beats;

    struct seats seats; // of connections handed over and not closed yet
    int adding_seat;
    struct mhd_connection *adding;
    struct pollfd *polled;
    struct mhd_connection **polled_connections;
    size_t mapped;
    struct mhd_connection connections[];
};

static void wake(const struct mhd *mhd)
{
    eventfd_write(mhd->event, 1);
}

static void connection_release(struct mhd *mhd, struct mhd_connection *connection)
{
    mhd_request_release(connection);
    connection->used = false;
    own_fd_leave(connection->fd);
    seats_give(&mhd->seats, connection->seat);
}

// For MHD_OPTION_NOTIFY_CONNECTION.
static void connection_changed(void *context, struct MHD_Connection *handle, void **socket_context,
                               enum MHD_ConnectionNotificationCode code)
{
    struct mhd *mhd = context;
    if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
        if (*socket_context)
            connection_release(mhd, *socket_context);
        return;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(handle, MHD_CONNECTION_INFO_CONNECTION_FD);
    for (unsigned i = 0; i < mhd->settings.max_connections && info; i++) {
        struct mhd_connection *connection = &mhd->connections[i];
        if (!connection->used) {
            connection->used = true;
            connection->life = &mhd->life;
            connection->hosts = &mhd->settings.hosts;
            connection->handle = handle;
            connection->fd = info->connect_fd;
            connection->seat = mhd->adding_seat;
            connection->cut = false;
            connection->awaited_since = clock_monotonic_ns();
            mhd->adding = connection;
            *socket_context = connection;
            return;
        }
    }
}

// Asks malloc for memory as libmicrohttpd is about to: if it is stuck, this thread is stuck here,
// before it has touched the connection. Sizes that the caches of a thread don't hold.
static bool malloc_works(void)
{
    static const size_t sizes[] = {8192, 49152};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        // Volatile: else the compiler leaves out the pair.
        void *volatile memory = malloc(sizes[i]);
        if (!memory)
            return false;
        free(memory);
    }
    return true;
}

static void take_offer(struct mhd *mhd)
{
    // Acquire: pairs with the release in mhd_offer, for the fields.
    uint32_t offer = atomic_load_explicit(&mhd->offer, memory_order_acquire);
    if (!(offer & 1) || !malloc_works())
        return;
    int fd = mhd->offered_fd;
    struct sockaddr_storage address = mhd->offered_address;
    socklen_t length = mhd->offered_length;
    int seat = mhd->offered_seat;
    // Acquire-release: the fields are read before the other side may write them again.
    if (!atomic_compare_exchange_strong_explicit(&mhd->offer, &offer, offer + 1,
                                                 memory_order_acq_rel, memory_order_relaxed))
        return;
    futex_wake(&mhd->offer, 1);
    mhd->adding = NULL;
    mhd->adding_seat = seat;
    if (MHD_add_connection(mhd->daemon, fd, (struct sockaddr *)&address, length) == MHD_YES)
        return;
    own_fd_leave(fd);
    // It has closed the socket. If it had not even announced the connection, its seat is still
    // taken.
    if (!mhd->adding)
        seats_give(&mhd->seats, seat);
    else if (mhd->adding->used)
        connection_release(mhd, mhd->adding);
}

// When the thread has to see to a connection itself; UINT64_MAX: never.
static uint64_t deadline_ns(const struct mhd *mhd, const struct mhd_connection *connection)
{
    if (!connection->used || connection->cut)
        return UINT64_MAX;
    switch (connection->phase) {
    case MHD_PHASE_WAITING:
        return connection->due_ns;
    case MHD_PHASE_HEAD:
    case MHD_PHASE_BODY:
        return connection->awaited_since +
               (uint64_t)mhd->settings.client_timeout_s * REQUEST_TIMEOUTS * SECOND;
    case MHD_PHASE_DUE:
    case MHD_PHASE_GONE:
    case MHD_PHASE_ANSWERED:
        break;
    }
    return UINT64_MAX;
}

// Fills mhd->polled with what the thread waits for; returns how many, and the time-out.
static nfds_t gather(struct mhd *mhd, int epoll, int *ret_timeout_ms)
{
    nfds_t count = 0;
    MHD_UNSIGNED_LONG_LONG ms;
    uint64_t timeout = UINT64_MAX;
    if (MHD_get_timeout(mhd->daemon, &ms) == MHD_YES)
        timeout = ms;
    mhd->polled[count++] = (struct pollfd){.fd = epoll, .events = POLLIN};
    mhd->polled[count++] = (struct pollfd){.fd = mhd->event, .events = POLLIN};
    uint64_t now = clock_monotonic_ns();
    for (unsigned i = 0; i < mhd->settings.max_connections; i++) {
        struct mhd_connection *connection = &mhd->connections[i];
        uint64_t deadline = deadline_ns(mhd, connection);
        if (deadline == UINT64_MAX)
            continue;
        mhd->polled_connections[count] = connection;
        mhd->polled[count++] = (struct pollfd){.fd = connection->fd, .events = POLLRDHUP};
        uint64_t left = deadline > now ? (deadline - now) / 1000000 + 1 : 0;
        timeout = left < timeout ? left : timeout;
    }
    *ret_timeout_ms = timeout == UINT64_MAX ? -1 : timeout > 60000 ? 60000 : (int)timeout;
    return count;
}

// Whether a client has closed its side, and all that it sent before has been read.
static bool is_drained(const struct pollfd *polled)
{
    char byte;
    return polled->revents && recv(polled->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

// Sees to what libmicrohttpd does not: requests that wait for their time, and clients that left.
static void look_after(struct mhd *mhd, nfds_t count)
{
    uint64_t now = clock_monotonic_ns();
    for (nfds_t i = 2; i < count; i++) {
        struct mhd_connection *connection = mhd->polled_connections[i];
        if (connection->phase == MHD_PHASE_WAITING) {
            // Suspended, it has no time-out and is not looked at. A client that has closed its side
            // is gone, as for Go's server.
            bool gone = mhd->polled[i].revents != 0;
            if (!gone && connection->due_ns > now)
                continue;
            connection->phase = gone ? MHD_PHASE_GONE : MHD_PHASE_DUE;
            MHD_resume_connection(connection->handle);
        } else if (is_drained(&mhd->polled[i])) {
            // 0.9.75 takes a short read for the last of what is there, and so does not hear of an
            // end that came together with the data: such connections would hold their places until
            // the time-out. What is missing of this request can't come any more.
            shutdown(connection->fd, SHUT_RDWR);
        }
    }
}

// Closes connections whose request does not get ready. libmicrohttpd's time-out is for silence: a
// client that sends a byte now and then would hold its place for ever. What came by `now` must have
// been read: nobody is late because this thread was at work.
static void cut_late(struct mhd *mhd, uint64_t now)
{
    for (unsigned i = 0; i < mhd->settings.max_connections; i++) {
        struct mhd_connection *connection = &mhd->connections[i];
        if (connection->phase == MHD_PHASE_WAITING || deadline_ns(mhd, connection) > now)
            continue;
        // The descriptor is libmicrohttpd's to close, which it does when it reads the end.
        shutdown(connection->fd, SHUT_RDWR);
        connection->cut = true;
    }
}

static void mhd_free(struct mhd *mhd)
{
    if (mhd->event >= 0)
        own_fd_close(mhd->event);
    memory_unmap(mhd, mhd->mapped);
}

static void finish(struct mhd *mhd)
{
    // libmicrohttpd can't stop with suspended connections.
    for (unsigned i = 0; i < mhd->settings.max_connections; i++) {
        struct mhd_connection *connection = &mhd->connections[i];
        if (connection->used && connection->phase == MHD_PHASE_WAITING) {
            connection->phase = MHD_PHASE_GONE;
            MHD_resume_connection(connection->handle);
        }
    }
    MHD_run(mhd->daemon);
    mhd_fds_leave(mhd->daemon);
    MHD_stop_daemon(mhd->daemon);
    uint32_t running = END_RUNNING;
    // Acquire-release: whoever reads END_DONE finds all that this thread did done.
    if (atomic_compare_exchange_strong_explicit(&mhd->end, &running, END_DONE, memory_order_acq_rel,
                                                memory_order_acquire))
        futex_wake(&mhd->end, 1);
    else
        mhd_free(mhd);
}

static void *run(void *argument)
{
    struct mhd *mhd = argument;
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(mhd->daemon, MHD_DAEMON_INFO_EPOLL_FD);
    int epoll = info->epoll_fd;
    while (!atomic_load_explicit(&mhd->stopping, memory_order_acquire)) {
        int timeout_ms;
        nfds_t count = gather(mhd, epoll, &timeout_ms);
        poll(mhd->polled, count, timeout_ms);
        mhd_beat(&mhd->life);
        eventfd_t ignored;
        if (mhd->polled[1].revents)
            eventfd_read(mhd->event, &ignored);
        take_offer(mhd);
        look_after(mhd, count);
        uint64_t now = clock_monotonic_ns();
        MHD_run(mhd->daemon);
        cut_late(mhd, now);
        // Another one: that it is unstuck must show before it sleeps again.
        mhd_beat(&mhd->life);
    }
    finish(mhd);
    return NULL;
}

int mhd_start(const struct http_settings *settings, struct mhd **ret)
{
    unsigned max = settings->max_connections;
    size_t polled = sizeof(struct mhd) + max * sizeof(struct mhd_connection);
    size_t pointers = polled + (max + 2) * sizeof(struct pollfd);
    size_t keys = pointers + (max + 2) * sizeof(struct mhd_connection *);
    size_t bytes = keys + max * sizeof(*(struct seats){0}.keys);
    struct mhd *mhd = memory_map(bytes);
    if (!mhd)
        return -ENOMEM;
    mhd->mapped = bytes;
    mhd->polled = (struct pollfd *)((char *)mhd + polled);
    mhd->polled_connections = (struct mhd_connection **)((char *)mhd + pointers);
    mhd->seats = (struct seats){.count = max, .keys = (_Atomic uint64_t *)((char *)mhd + keys)};
    memcpy((void *)&mhd->settings, settings, sizeof(*settings));
    mhd->event = own_fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    struct own_fd_blocked blocked;
    own_fd_block(&blocked);
    // Its own limit is above ours, which is the one that answers with 503.
    if (mhd->event >= 0)
        mhd->daemon = MHD_start_daemon(
            MHD_USE_NO_LISTEN_SOCKET | MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
            mhd_request_handle, mhd, MHD_OPTION_CONNECTION_LIMIT, max + 8,
            MHD_OPTION_CONNECTION_TIMEOUT, settings->client_timeout_s, MHD_OPTION_URI_LOG_CALLBACK,
            mhd_request_started, mhd, MHD_OPTION_NOTIFY_COMPLETED, mhd_request_completed, mhd,
            MHD_OPTION_NOTIFY_CONNECTION, connection_changed, mhd, MHD_OPTION_END);
    own_fd_unblock(&blocked);
    if (!mhd->daemon) {
        mhd_free(mhd);
        return -ENOMEM;
    }
    mhd_fds_mark(mhd->daemon);
    int result = own_thread_start(&mhd->thread, "taskprof-mhd", run, mhd);
    if (result < 0) {
        mhd_fds_leave(mhd->daemon);
        MHD_stop_daemon(mhd->daemon);
        mhd_free(mhd);
        return result;
    }
    *ret = mhd;
    return 0;
}

// Waits until the offer is decided, or the thread must be called stuck. true: it was taken.
static bool offer_taken(struct mhd *mhd, uint32_t offer)
{
    uint64_t beats = atomic_load_explicit(&mhd->life.beats, memory_order_relaxed);
    uint64_t since = clock_monotonic_ns();
    for (;;) {
        futex_wait(&mhd->offer, offer, SECOND / 10);
        if (atomic_load_explicit(&mhd->offer, memory_order_acquire) != offer)
            return true;
        uint64_t now = clock_monotonic_ns();
        uint64_t seen = atomic_load_explicit(&mhd->life.beats, memory_order_relaxed);
        bool working = atomic_load_explicit(&mhd->life.at_work, memory_order_relaxed);
        bool stopping = atomic_load_explicit(&mhd->stopping, memory_order_relaxed);
        if (seen != beats) {
            beats = seen;
            since = now;
        }
        uint64_t patience = working ? PATIENCE_AT_WORK_S : PATIENCE_S;
        if (!stopping && now - since < patience * SECOND)
            continue;
        uint32_t expected = offer;
        if (!atomic_compare_exchange_strong_explicit(&mhd->offer, &expected, offer + 1,
                                                     memory_order_acq_rel, memory_order_acquire))
            return true;
        mhd->stuck = true;
        mhd->stuck_beats = beats;
        return false;
    }
}

enum mhd_answer mhd_offer(struct mhd *mhd, int fd, const struct sockaddr *address, socklen_t length)
{
    if (mhd->stuck &&
        mhd->stuck_beats == atomic_load_explicit(&mhd->life.beats, memory_order_relaxed))
        return MHD_STUCK;
    mhd->stuck = false;
    if (length > sizeof(mhd->offered_address))
        length = sizeof(mhd->offered_address);
    int seat = seats_take(&mhd->seats, seats_key(address, length));
    if (seat < 0)
        return seat == -EDQUOT ? MHD_SHARE_HELD : MHD_FULL;
    mhd->offered_fd = fd;
    memcpy(&mhd->offered_address, address, length);
    mhd->offered_length = length;
    mhd->offered_seat = seat;
    // Release: pairs with the acquire in take_offer.
    uint32_t offer = atomic_fetch_add_explicit(&mhd->offer, 1, memory_order_release) + 1;
    wake(mhd);
    if (offer_taken(mhd, offer))
        return MHD_TAKEN;
    seats_give(&mhd->seats, seat);
    return MHD_STUCK;
}

void mhd_stop_begin(struct mhd *mhd)
{
    atomic_store_explicit(&mhd->stopping, true, memory_order_release);
    wake(mhd);
}

void mhd_stop(struct mhd **mhd_at)
{
    struct mhd *mhd = *mhd_at;
    mhd_stop_begin(mhd);
    uint64_t beats = atomic_load_explicit(&mhd->life.beats, memory_order_relaxed);
    uint64_t since = clock_monotonic_ns();
    while (atomic_load_explicit(&mhd->end, memory_order_acquire) == END_RUNNING) {
        futex_wait(&mhd->end, END_RUNNING, SECOND / 10);
        uint64_t now = clock_monotonic_ns();
        uint64_t seen = atomic_load_explicit(&mhd->life.beats, memory_order_relaxed);
        if (seen != beats) {
            beats = seen;
            since = now;
        }
        bool working = atomic_load_explicit(&mhd->life.at_work, memory_order_relaxed);
        uint64_t patience = working ? PATIENCE_AT_WORK_S : PATIENCE_S;
        uint32_t running = END_RUNNING;
        if (now - since < patience * SECOND)
            continue;
        *mhd_at = NULL; // once it is abandoned, its thread gives it back
        if (atomic_compare_exchange_strong_explicit(&mhd->end, &running, END_ABANDONED,
                                                    memory_order_acq_rel, memory_order_acquire)) {
            pthread_detach(mhd->thread);
            return;
        }
    }
    pthread_join(mhd->thread, NULL);
    *mhd_at = NULL;
    atomic_signal_fence(memory_order_seq_cst);
    mhd_free(mhd);
}

void mhd_forget(struct mhd *mhd)
{
    // The connections' sockets too: a client must not wait for the end of the child.
    for (unsigned i = 0; i < mhd->settings.max_connections; i++)
        if (mhd->connections[i].used)
            own_fd_close(mhd->connections[i].fd);
    mhd_fds_close(mhd->daemon);
    mhd_free(mhd);
}
