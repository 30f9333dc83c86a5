/* Streams of packets through a relay, both ways, from one busy thread: cheaper than what it measures.

   relay_load CALLS PACKETS INTERVAL_US WARM_S MEASURED_S
   CALLS:   a line per call: caller's host and port, relay's for it, callee's host and port, relay's for it
   PACKETS: two streams, of callers and of callees, each a row of packets: 2 octets of length, then the packet

   Each socket sends packet n of its stream at n * INTERVAL_US and a moment of its own in between. What arrives is
   known by its RTP sequence number, and timed by the kernel. Prints "measuring" after the warm-up, and at the end
   one line: sent, received, delay p50, p99 and highest in us, the most that sending was late in us, datagrams that
   it lost itself. */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>

#define KEPT 4096            /* send times kept of a socket: it must not take longer round */
#define BUCKETS 2000000      /* of delays, 1 us each */
#define DROPS_AT 8
#define REST_NS 60000        /* each millisecond: who never sleeps is made to by schedulers, for longer */

typedef struct { uint8_t *data; uint16_t length; } packet;
typedef struct { packet *packets; size_t count; } stream;
typedef struct { int fd; const stream *stream; int64_t sent_at[KEPT]; } phone;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return t.tv_sec * 1000000000ll + t.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "relay_load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static stream read_stream(FILE *file, size_t count) {
    stream made = {calloc(count, sizeof(packet)), count};
    for (size_t i = 0; i < count; i++) {
        uint8_t length[2];
        if (fread(length, 1, 2, file) != 2)
            die("packets");
        made.packets[i].length = (uint16_t)(length[0] << 8 | length[1]);
        made.packets[i].data = malloc(made.packets[i].length);
        if (fread(made.packets[i].data, 1, made.packets[i].length, file) != made.packets[i].length)
            die("packets");
    }
    return made;
}

static struct sockaddr_in place(const char *host, int port) {
    struct sockaddr_in made = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &made.sin_addr) != 1)
        die(host);
    return made;
}

static int phone_socket(const char *host, int port, const char *relay_host, int relay_port) {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0), yes = 1, buffer = 1 << 20;
    struct sockaddr_in here = place(host, port), there = place(relay_host, relay_port);
    if (fd < 0 || bind(fd, (struct sockaddr *)&here, sizeof here) || connect(fd, (struct sockaddr *)&there, sizeof there))
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_TIMESTAMPNS, &yes, sizeof yes);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer, sizeof buffer);
    return fd;
}

static uint64_t lost_by(int fd) {
    uint32_t info[9] = {0};
    socklen_t size = sizeof info;
    getsockopt(fd, SOL_SOCKET, SO_MEMINFO, info, &size);
    return info[DROPS_AT];
}

static uint32_t *delays;
static uint64_t received;

/* ``peer`` is the other phone of the call: it sent what comes here. */
static void receive(const phone *at, const phone *peer, bool measuring, int64_t since) {
    uint8_t data[2048], control[128];
    for (;;) {
        struct iovec piece = {data, sizeof data};
        struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
        ssize_t length = recvmsg(at->fd, &message, MSG_DONTWAIT);
        if (length < 12)
            return;
        struct cmsghdr *stamp = CMSG_FIRSTHDR(&message);
        if (!measuring || !stamp || (data[1] >= 192 && data[1] <= 223))
            continue;
        struct timespec came;
        memcpy(&came, CMSG_DATA(stamp), sizeof came);
        int64_t sent = peer->sent_at[(data[2] << 8 | data[3]) % KEPT];
        if (sent < since)
            continue;
        int64_t delay_us = (came.tv_sec * 1000000000ll + came.tv_nsec - sent) / 1000;
        delays[delay_us < 0 ? 0 : delay_us < BUCKETS ? delay_us : BUCKETS - 1]++;
        received++;
    }
}

static double percentile(double share) {
    uint64_t wanted = (uint64_t)(share * (double)received), seen = 0;
    for (uint32_t us = 0; us < BUCKETS; us++)
        if ((seen += delays[us]) > wanted)
            return us;
    return BUCKETS;
}

int main(int argc, char **argv) {
    if (argc != 6)
        die("usage: relay_load CALLS PACKETS INTERVAL_US WARM_S MEASURED_S");
    int64_t interval = atoll(argv[3]) * 1000, warm = atoll(argv[4]) * 1000000000, measured = atoll(argv[5]) * 1000000000;
    struct rlimit files = {1 << 16, 1 << 16};
    setrlimit(RLIMIT_NOFILE, &files);

    FILE *file = fopen(argv[2], "rb");
    uint32_t counts[2];
    if (!file || fread(counts, 4, 2, file) != 2)
        die(argv[2]);
    stream streams[2] = {read_stream(file, counts[0]), read_stream(file, counts[1])};
    fclose(file);

    size_t count = 0, room = 16;
    phone *phones = malloc(room * sizeof *phones);
    char caller[64], near[64], callee[64], far[64];
    int caller_port, near_port, callee_port, far_port;
    if (!(file = fopen(argv[1], "r")))
        die(argv[1]);
    while (fscanf(file, "%63s %d %63s %d %63s %d %63s %d", caller, &caller_port, near, &near_port, callee, &callee_port,
                  far, &far_port) == 8) {
        if (count + 2 > room)
            phones = realloc(phones, (room *= 2) * sizeof *phones);
        memset(&phones[count], 0, 2 * sizeof *phones);
        phones[count].fd = phone_socket(caller, caller_port, near, near_port);
        phones[count].stream = &streams[0];
        phones[count + 1].fd = phone_socket(callee, callee_port, far, far_port);
        phones[count + 1].stream = &streams[1];
        count += 2;
    }
    fclose(file);

    int epoll = epoll_create1(0);
    for (size_t i = 0; i < count; i++) {
        struct epoll_event wanted = {.events = EPOLLIN | EPOLLET, .data.u64 = i};
        epoll_ctl(epoll, EPOLL_CTL_ADD, phones[i].fd, &wanted);
    }
    delays = calloc(BUCKETS, sizeof *delays);

    /* The far sockets of half the calls send first, so that no two packets of a call go together. */
    size_t *order = malloc(count * sizeof *order);
    for (size_t i = 0; i < count; i++)
        order[i] = i;
    srand(7);
    for (size_t i = count - 1; i > 0; i--) {
        size_t j = (size_t)rand() % (i + 1), kept = order[i];
        order[i] = order[j];
        order[j] = kept;
    }

    int64_t begin = now_ns() + 10000000, since = begin + warm, end = since + measured, latest = 0;
    uint64_t sent = 0, index = 0, lost_before = 0, lost = 0;
    bool measuring = false;
    int64_t rested = begin;
    struct timespec rest = {0, REST_NS};
    struct epoll_event ready[256];
    for (;;) {
        int64_t now = now_ns();
        if (!measuring && now >= since) {
            measuring = true;
            for (size_t i = 0; i < count; i++)
                lost_before += lost_by(phones[i].fd);
            puts("measuring");
            fflush(stdout);
        }
        if (now >= end)
            break;
        for (int burst = 0; burst < 16; burst++, index++) {
            uint64_t round = index / count, turn = index % count;
            int64_t due = begin + (int64_t)round * interval + (int64_t)turn * interval / (int64_t)count;
            now = now_ns();
            if (due > now || due >= end)
                break;
            phone *one = &phones[order[turn]];
            if (round >= one->stream->count)
                die("too few packets");
            const packet *packet = &one->stream->packets[round];
            one->sent_at[(packet->data[2] << 8 | packet->data[3]) % KEPT] = now;
            if (due >= since) {
                sent++;
                if (now - due > latest)
                    latest = now - due;
            } else
                one->sent_at[(packet->data[2] << 8 | packet->data[3]) % KEPT] = 0;
            send(one->fd, packet->data, packet->length, MSG_DONTWAIT);
        }
        if (now - rested > 1000000) {
            nanosleep(&rest, NULL);
            rested = now;
        }
        int found = epoll_wait(epoll, ready, 256, 0);
        for (int i = 0; i < found; i++)
            receive(&phones[ready[i].data.u64], &phones[ready[i].data.u64 ^ 1], measuring, since);
    }
    struct timespec patience = {0, 500000000};
    nanosleep(&patience, NULL);
    for (size_t i = 0; i < count; i++) {
        receive(&phones[i], &phones[i ^ 1], true, since);
        lost += lost_by(phones[i].fd);
    }
    printf("%llu %llu %.0f %.0f %.0f %.0f %llu\n", (unsigned long long)sent, (unsigned long long)received, percentile(0.5),
           percentile(0.99), percentile(1.0 - 1.0 / (double)(received + 1)), (double)latest / 1000.0,
           (unsigned long long)(lost - lost_before));
    return 0;
}
