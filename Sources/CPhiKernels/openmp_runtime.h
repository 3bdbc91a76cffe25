/* The OpenMP runtime of parallel.c: what Clang calls for `#pragma omp parallel num_threads(n)`.
 *
 * LLVM's libomp ends the process where it cannot have its threads, or /dev/shm, or where another copy of it has been loaded, as
 * NumPy and PyTorch do; after it, another copy ends the process. This one does its work with the threads that it gets, reads no
 * environment and has no global names.
 *
 * A team is a number of threads that wait for regions. A region takes an idle team from the pool, and so does a region that another
 * thread enters meanwhile. A thread of the team that comes when a region is closed, because the system had suspended it, does not
 * take part, and nothing waits for it: the region's work is done, see work().
 *
 * A caller with less of its stack left than operations need, PHI_STACK_BYTES, only waits: one more thread of the team takes its place, or
 * it waits for a team that has one. */
#ifndef PHI_OPENMP_RUNTIME_H
#define PHI_OPENMP_RUNTIME_H

#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include "kernels.h"

/* How long an idle thread spins before it sleeps: long enough for the caller to sample a token and return, and no longer, so that an idle
 * session does not keep cores busy. */
#define AWAKE_NANOSECONDS UINT64_C(2000000)
/* After a thread could not be started, none is tried for so long. */
#define RETRY_NANOSECONDS UINT64_C(1000000000)
enum { STACK_BYTES = 1 << 20 };

/* A region's code, outlined by the compiler; its arguments are the addresses of the variables that it uses. */
typedef void (*microtask)(int32_t *global_thread, int32_t *bound_thread, void *argument);

/* The word by which a team's threads enter regions, from its upper end: the number of the region, whether it is closed, how many threads
 * are wanted besides the caller, and how many are inside. */
enum { INSIDE_BITS = 15, WANTED_BITS = 16 };
#define CLOSED (UINT64_C(1) << (INSIDE_BITS + WANTED_BITS))
#define REGION(gate) ((uint32_t)((gate) >> 32))
#define WANTED(gate) ((int)((gate) >> INSIDE_BITS & ((1 << WANTED_BITS) - 1)))
#define INSIDE(gate) ((int)((gate) & ((1 << INSIDE_BITS) - 1)))

typedef struct team {
    _Alignas(64) uint64_t gate;
    _Alignas(64) microtask task;
    void *argument;
    int threads; /* besides the caller */
    int sleeping;
    pthread_mutex_t lock; /* of those who sleep */
    pthread_cond_t opened;
    struct team *next; /* in the pool */
} team;

typedef struct {
    team *team;
    int number;
    uint32_t region; /* the last one before it was started */
} team_thread;

static pthread_mutex_t pool_lock = PTHREAD_MUTEX_INITIALIZER;
static team *pool;            /* idle teams */
static uint64_t next_attempt; /* to start threads */
static int started;           /* threads of all teams */

static _Thread_local int thread_number;    /* in the region that this thread is in; 0 outside */
static _Thread_local int requested_threads; /* of the next region */
static _Thread_local bool only_waits;       /* the thread that entered the region leaves its work to the team */

static uint64_t nanoseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Waits until a region after `seen` is open or over; returns the gate. */
static uint64_t wait_for_region(team *t, uint32_t seen) {
    uint64_t gate, start = 0;
    for (unsigned spins = 0; REGION(gate = __atomic_load_n(&t->gate, __ATOMIC_ACQUIRE)) == seen;) {
        spin(&spins);
        if (spins % 256 && spins <= SPINS_BEFORE_YIELD) continue;
        uint64_t now = nanoseconds();
        if (!start) start = now;
        if (now - start >= AWAKE_NANOSECONDS) break;
    }
    if (REGION(gate) != seen) return gate;
    pthread_mutex_lock(&t->lock);
    /* Either this sees the region that enter() opens, or enter() sees that somebody sleeps. */
    __atomic_fetch_add(&t->sleeping, 1, __ATOMIC_SEQ_CST);
    while (REGION(gate = __atomic_load_n(&t->gate, __ATOMIC_SEQ_CST)) == seen) pthread_cond_wait(&t->opened, &t->lock);
    __atomic_fetch_sub(&t->sleeping, 1, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&t->lock);
    return gate;
}

static void *run_team_thread(void *raw) {
    team_thread self = *(team_thread *)raw;
    free(raw);
    thread_number = self.number;
    for (;;) {
        uint64_t gate = wait_for_region(self.team, self.region);
        self.region = REGION(gate);
        bool enters = false;
        while (REGION(gate) == self.region && !(gate & CLOSED) && self.number <= WANTED(gate) && !enters)
            enters = __atomic_compare_exchange_n(&self.team->gate, &gate, gate + 1, true, __ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE);
        if (!enters) continue;
        self.team->task(NULL, NULL, self.team->argument);
        __atomic_fetch_sub(&self.team->gate, 1, __ATOMIC_RELEASE);
    }
    return NULL;
}

/* The number of a team's last region, over or not. Threads that come late may still look at the gate. */
static uint32_t last_region(team *t) { return REGION(__atomic_load_n(&t->gate, __ATOMIC_RELAXED)); }

/* Starts threads until the team has `threads`, or the system refuses. */
static void grow(team *t, int threads) {
    if (t->threads >= threads || nanoseconds() < next_attempt) return;
    pthread_attr_t attributes;
    if (pthread_attr_init(&attributes)) return;
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    /* The host's signals are for the host's threads; a profiler samples all. */
    sigset_t all, before;
    sigfillset(&all);
    const int own[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS, SIGPROF};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&all, own[i]);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    while (t->threads < threads) {
        team_thread *thread = malloc(sizeof *thread);
        if (thread) *thread = (team_thread){.team = t, .number = t->threads + 1, .region = last_region(t)};
        pthread_t handle;
        if (!thread || pthread_create(&handle, &attributes, run_team_thread, thread)) {
            free(thread);
            next_attempt = nanoseconds() + RETRY_NANOSECONDS;
            break;
        }
        t->threads++;
        started++;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
}

static void lock_pool(void) { pthread_mutex_lock(&pool_lock); }
static void unlock_pool(void) { pthread_mutex_unlock(&pool_lock); }

/* A child of fork() has none of the threads. */
static void forget_pool(void) {
    pool_lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
    pool = NULL;
    next_attempt = 0;
    started = 0;
}

static void watch_forks(void) { pthread_atfork(lock_pool, unlock_pool, forget_pool); }

/* Takes the smallest idle team of `threads` or the largest smaller one, which grows; NULL without memory. */
static team *take_team(int threads) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, watch_forks);
    lock_pool();
    team **best = &pool;
    for (team **place = &pool; *place; place = &(*place)->next) {
        int count = (*place)->threads, most = (*best)->threads;
        if (most < threads ? count > most : count >= threads && count < most) best = place;
    }
    team *t = *best;
    if (t) {
        *best = t->next;
    } else if ((t = aligned_alloc(64, sizeof *t))) {
        *t = (team){.gate = CLOSED, .lock = PTHREAD_MUTEX_INITIALIZER, .opened = PTHREAD_COND_INITIALIZER};
    }
    if (t) grow(t, threads);
    unlock_pool();
    return t;
}

static void return_team(team *t) {
    lock_pool();
    t->next = pool;
    pool = t;
    unlock_pool();
}

/* Takes a team as take_team(), one that has threads unless no team has. Not for regions within regions, which hold their team. */
static team *take_team_with_threads(int threads) {
    for (;;) {
        team *t = take_team(threads);
        if (!t || t->threads) return t;
        return_team(t);
        lock_pool();
        bool exists = started > 0;
        unlock_pool();
        if (!exists) return take_team(threads);
        nanosleep(&(struct timespec){.tv_nsec = 20000}, NULL);
    }
}

/* Does a region's work on this thread and up to `threads` others; on one more instead of this one, if its stack is too small for
 * operations and there is another thread. */
static void enter(int threads, microtask task, void *argument) {
    int outer = thread_number;
    bool outer_waits = only_waits, is_small = phi_stack_left() < PHI_STACK_BYTES;
    thread_number = 0;
    threads += is_small;
    team *t = threads <= 0 ? NULL : is_small ? take_team_with_threads(threads) : take_team(threads);
    only_waits = is_small && t && t->threads > 0;
    if (t) {
        t->task = task;
        t->argument = argument;
        uint64_t wanted = phi_min((size_t)threads, (size_t)t->threads);
        __atomic_store_n(&t->gate, (uint64_t)(last_region(t) + 1) << 32 | wanted << INSIDE_BITS, __ATOMIC_SEQ_CST);
        if (__atomic_load_n(&t->sleeping, __ATOMIC_SEQ_CST)) {
            pthread_mutex_lock(&t->lock);
            pthread_cond_broadcast(&t->opened);
            pthread_mutex_unlock(&t->lock);
        }
    }
    task(NULL, NULL, argument);
    if (t) {
        uint64_t gate = __atomic_fetch_or(&t->gate, CLOSED, __ATOMIC_ACQUIRE);
        for (unsigned spins = 0; INSIDE(gate); gate = __atomic_load_n(&t->gate, __ATOMIC_ACQUIRE)) spin(&spins);
        return_team(t);
    }
    thread_number = outer;
    only_waits = outer_waits;
}

/* How many of `threads` threads there are, the caller included unless it only waits, once those have been started that can be. */
static int reserve(int threads) {
    int own = phi_stack_left() >= PHI_STACK_BYTES, others = threads - own;
    team *t = others > 0 ? take_team(others) : NULL;
    int count = t ? (int)phi_min((size_t)others, (size_t)t->threads) : 0;
    if (t) return_team(t);
    return own + count;
}

/* ---- The names that Clang calls ---- */

/* Other parts of the program may use another OpenMP runtime, so these names are aliases for the assembler alone, of static functions. */
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define ALIAS(name, function) __asm__(".set " TEXT(__USER_LABEL_PREFIX__) name ", " TEXT(__USER_LABEL_PREFIX__) #function)

__attribute__((used)) static int32_t runtime_global_thread_num(void *place) {
    (void)place;
    return 0;
}
ALIAS("__kmpc_global_thread_num", runtime_global_thread_num);

__attribute__((used)) static void runtime_push_num_threads(void *place, int32_t thread, int32_t threads) {
    (void)place, (void)thread;
    requested_threads = threads;
}
ALIAS("__kmpc_push_num_threads", runtime_push_num_threads);

/* The region of parallel.c uses one variable, so there is one argument. */
__attribute__((used)) static void runtime_fork_call(void *place, int32_t count, microtask task, ...) {
    (void)place, (void)count;
    va_list arguments;
    va_start(arguments, task);
    void *argument = va_arg(arguments, void *);
    va_end(arguments);
    enter(requested_threads - 1, task, argument);
}
ALIAS("__kmpc_fork_call", runtime_fork_call);

#endif
