/* The thread: waits for packets, takes them in batches, and sleeps a moment so that more come together. */

#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

#define READY 512            /* ports looked at in a turn */
#define LOCKED_AT_A_TIME 16  /* then others get the table */

double now_s(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

port *find_port(table *table, uint64_t number) {
    uint64_t slot = number & 0xFFFFFF;
    port *found = number && slot < table->slot_count ? table->slots[slot] : NULL;
    return found && found->number == number ? found : NULL;
}

void lock_table(table *table) {
    atomic_fetch_add(&table->wanted, 1);
    pthread_mutex_lock(&table->lock);
    atomic_fetch_sub(&table->wanted, 1);
}

void unlock_table(table *table) { pthread_mutex_unlock(&table->lock); }

event *event_of(uint64_t number, const address *source, const uint8_t *data, int length, bool proven) {
    event *one = malloc(sizeof *one + (size_t)length);
    if (one) {
        *one = (event){.port = number, .source = *source, .proven = proven, .length = length};
        memcpy(one->data, data, (size_t)length);
    }
    return one;
}

bool enqueue(table *table, enum queue_name name, uint64_t number, const address *source, const uint8_t *data,
             int length, bool proven) {
    event *one = event_of(number, source, data, length, proven);
    if (!one)
        return false;

    queue *queue = &table->queues[name];
    pthread_mutex_lock(&table->queue_lock);
    bool fits = queue->count < table->most_events;
    if (fits) {
        if (queue->last)
            queue->last->next = one;
        else
            queue->first = one;
        queue->last = one;
        if (name != ENGINE)
            pthread_cond_signal(&queue->filled);
        else if (queue->count == 0)
            eventfd_write(table->engine_fd, 1);
        queue->count++;
    }
    pthread_mutex_unlock(&table->queue_lock);
    if (!fits)
        free(one);
    return fits;
}

/* Where packets are read into. libsrtp wants them aligned. */
typedef struct {
    struct mmsghdr messages[BATCH];
    struct iovec pieces[BATCH];
    address sources[BATCH];
    _Alignas(16) uint8_t data[BATCH][ROOM];
} batch;

static void prepare(batch *batch) {
    for (int i = 0; i < BATCH; i++) {
        batch->pieces[i] = (struct iovec){batch->data[i], MOST_BYTES + 1};
        batch->messages[i].msg_hdr = (struct msghdr){
            .msg_name = &batch->sources[i], .msg_iov = &batch->pieces[i], .msg_iovlen = 1};
    }
}

/* Whether there may be more. */
static bool read_port(table *table, port *from, batch *batch, double now) {
    for (int i = 0; i < BATCH; i++)
        batch->messages[i].msg_hdr.msg_namelen = sizeof batch->sources[i];
    int count = recvmmsg(from->fd, batch->messages, BATCH, MSG_DONTWAIT, NULL);
    if (count <= 0)
        return false;
    table->received += (uint64_t)count;
    int first = 0;
    if (table->shedding && count > 1) {
        first = count - 1;
        table->shed += (uint64_t)first;
    }
    for (int i = first; i < count; i++)
        take_packet(table, from, batch->data[i], (int)batch->messages[i].msg_len, &batch->sources[i], now);
    return count == BATCH;
}

/* Whether the thread is to end. */
static bool take_turn(table *table, const struct epoll_event *ready, int count, batch *batch, double now) {
    bool locked = false;
    for (int i = 0; i < count; i++) {
        if (ready[i].data.u64 == 0) {
            if (locked)
                pthread_mutex_unlock(&table->lock);
            return true;
        }
        if (!locked) {
            pthread_mutex_lock(&table->lock);
            locked = true;
        }
        port *from = find_port(table, ready[i].data.u64);
        if (from && read_port(table, from, batch, now)) {
            /* An edge was spent: asking again brings the port up in the next turn, after the others. */
            struct epoll_event again = {.events = EPOLLIN | EPOLLET, .data.u64 = from->number};
            epoll_ctl(table->epoll_fd, EPOLL_CTL_MOD, from->fd, &again);
        }
        if (i % LOCKED_AT_A_TIME == LOCKED_AT_A_TIME - 1 || i == count - 1) {
            pthread_mutex_unlock(&table->lock);
            locked = false;
            while (atomic_load(&table->wanted))
                sched_yield();
        }
    }
    return false;
}

static void pause_s(double time_s) {
    struct timespec time = {0, (long)(time_s * 1e9)};
    nanosleep(&time, NULL);
}

void *run_loop(void *argument) {
    table *table = argument;
    batch *batch = calloc(1, sizeof *batch);
    struct epoll_event ready[READY];
    bool late = false;

    if (!batch)
        return NULL;
    prepare(batch);
    prctl(PR_SET_NAME, "siptwin-media");
    prctl(PR_SET_TIMERSLACK, 1000ul, 0, 0, 0);
    setpriority(PRIO_PROCESS, 0, table->niceness);   /* of this thread alone; it may be refused */
    while (!atomic_load(&table->ended)) {
        double idle = now_s();
        int count = epoll_wait(table->epoll_fd, ready, READY, -1);
        double began = now_s();
        if (count > 0 && take_turn(table, ready, count, batch, began))
            break;
        double took = now_s() - began;
        table->shedding = late && took > table->late_s;
        late = took > table->late_s;
        /* Where packets are few a pause would gather none, and be a wake-up more. */
        if (began - idle < table->gather_s / 2 && took < table->gather_s)
            pause_s(table->gather_s - took);
    }
    free(batch);
    return NULL;
}
