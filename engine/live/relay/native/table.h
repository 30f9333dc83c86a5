/* The table of ports, and what the files of the native loop share. What it does is told in ../portable.py. */

#ifndef SIPTWIN_TABLE_H
#define SIPTWIN_TABLE_H

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define INTERFACE 1       /* of this module; native_forwarder.py has it as well. Count it up with what crosses */
#define MOST_BYTES 2000   /* forwarder.py and engine/media/rules.py have these six as well */
#define MOST_SSRCS 16
#define STRANGER_SLOTS 8
#define PAYLOAD_TYPES 128
#define MOST_HELD 3
#define HELD_S 2.0

#define ROOM 2304         /* the longest packet and what SRTP adds to it */
#define BATCH 16          /* packets of one port in a turn */
#define REPORTS_KEPT 4

enum queue_name { ENGINE, HANDSHAKES, CODECS, QUEUES };
enum kind { PLAIN, RTP, RTCP, STUN, DTLS, OTHER };

typedef union {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
} address;

/* libsrtp's functions as pylibsrtp brings them, so that nothing has to be linked. */
typedef int (*transform)(void *context, void *packet, int *length);
typedef int (*forgetter)(void *context, uint32_t ssrc);

/* One way of SRTP; the SSRCs, in network order, are those that libsrtp keeps state of. */
typedef struct {
    void *context;
    uint32_t ssrcs[MOST_SSRCS];
    uint32_t latest;
    unsigned count, next;
    bool heard;
} srtp_way;

typedef struct {
    double left, at;
} allowance;

typedef struct {
    uint64_t port;   /* 0: nowhere */
    address target;
} hop;

typedef struct {
    hop rtp, rtcp;
    bool mapped, detour;
    uint8_t payloads[PAYLOAD_TYPES];   /* 0xFF: dropped */
    uint32_t clocks_hz[PAYLOAD_TYPES];
    unsigned sources;
    address source[];
} route;

typedef struct {
    uint64_t number;
    int fd;
    /* how it is secured */
    bool locked, has_peer;
    address peer;
    srtp_way receive, send;
    /* DTLS that came before a peer was named */
    struct event *held, *last_held;
    unsigned held_count;
    double held_at;
    /* what becomes of packets */
    route *route;
    allowance allowances[STRANGER_SLOTS + 1];   /* the first is of believed sources */
    allowance hand_shake;
    /* what was measured: see measures.py */
    uint64_t packets, octets, dropped;
    int64_t lost;
    double heard_at, arrival, jitter_s, round_trip_ms;
    uint32_t ssrc, stamp;
    uint16_t highest;
    bool streaming, marked;
    uint32_t known_drops;
    unsigned reports;
    struct { uint32_t name; double at; } report[REPORTS_KEPT];
} port;

/* What was measured at a port since it was last asked. */
typedef struct {
    uint64_t packets, octets, dropped;
    int64_t lost;
    double jitter_ms, round_trip_ms, silent_s;
    uint32_t overflowed;
} counters;

typedef struct event {
    struct event *next;
    uint64_t port;
    address source;
    bool proven;
    int length;
    uint8_t data[];
} event;

typedef struct {
    event *first, *last;
    unsigned count;
    bool woken;
    pthread_cond_t filled;
} queue;

typedef struct {
    /* settings */
    double gather_s, late_s;
    int niceness;
    unsigned most_events, strangers_per_s;
    transform protect, protect_rtcp, unprotect, unprotect_rtcp;
    forgetter forget;
    /* the table, under its lock; ``wanted`` counts those who wait for it, so that a busy loop lets them in */
    pthread_mutex_t lock;
    atomic_int wanted;
    port **slots;
    uint32_t slot_count, *free_slots, free_count;
    uint64_t generation;
    uint64_t received, forwarded, dropped, shed, unsent, unqueued;
    bool shedding;
    /* exceptional packets, under theirs */
    pthread_mutex_t queue_lock;
    queue queues[QUEUES];
    int engine_fd;
    /* the thread */
    int epoll_fd, stop_fd;
    pthread_t thread;
    atomic_bool ended;
    bool running;
} table;

double now_s(void);
socklen_t address_bytes(const address *one);
bool same_address(const address *one, const address *other);

port *find_port(table *table, uint64_t number);
void lock_table(table *table);
void unlock_table(table *table);

/* packet.c */
void take_packet(table *table, port *from, uint8_t *data, int length, const address *source, double now);
bool send_packet(table *table, port *out, const address *target, uint8_t *data, int length, enum kind kind,
                 double now);
void reset_way(srtp_way *way, void *context);
void take_held(table *table, port *from, double now);
void drop_unasked(table *table, port *from);
void forget_held(port *port);

/* measures.c */
bool rtp_came(port *port, const uint8_t *data, int length, uint32_t clock_hz, double now);
void rtcp_came(port *port, const uint8_t *data, int length, double now);
void rtcp_sent(port *port, const uint8_t *data, int length, double now);

/* loop.c */
void *run_loop(void *table);
bool enqueue(table *table, enum queue_name name, uint64_t number, const address *source, const uint8_t *data,
             int length, bool proven);
event *event_of(uint64_t number, const address *source, const uint8_t *data, int length, bool proven);

static inline uint16_t read_16(const uint8_t *at) { return (uint16_t)(at[0] << 8 | at[1]); }
static inline uint32_t read_32(const uint8_t *at) {
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

#endif
