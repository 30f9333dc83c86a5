/* What becomes of one packet: the order of things is that of portable.py. */

#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC_COOKIE 0x2112A442u   /* RFC 8489 5 */
#define SRTP_SECURED_OK 0

socklen_t address_bytes(const address *one) {
    return one->any.sa_family == AF_INET6 ? sizeof one->v6 : sizeof one->v4;
}

bool same_address(const address *one, const address *other) {
    if (one->any.sa_family != other->any.sa_family)
        return false;
    if (one->any.sa_family == AF_INET)
        return one->v4.sin_port == other->v4.sin_port && one->v4.sin_addr.s_addr == other->v4.sin_addr.s_addr;
    return one->v6.sin6_port == other->v6.sin6_port &&
           memcmp(&one->v6.sin6_addr, &other->v6.sin6_addr, sizeof one->v6.sin6_addr) == 0;
}

/* RFC 7983, RFC 5761; engine.media.packets.packet_kind. */
static enum kind kind_of(const uint8_t *data, int length) {
    if (length < 1)
        return OTHER;
    if (data[0] >= 128 && data[0] <= 191) {
        if (length >= 8 && data[1] >= 192 && data[1] <= 223)
            return RTCP;
        return length >= 12 ? RTP : OTHER;
    }
    if (data[0] <= 1)
        return length >= 20 && read_32(data + 4) == MAGIC_COOKIE ? STUN : OTHER;
    return data[0] >= 20 && data[0] <= 63 && length >= 13 ? DTLS : OTHER;
}

static bool has_whole_header(const uint8_t *data, int length) {
    int needed = 12 + 4 * (data[0] & 0x0F);
    if (data[0] & 0x10) {
        if (length < needed + 4)
            return false;
        needed += 4 + 4 * read_16(data + needed + 2);
    }
    return length >= needed;
}

static bool grants(allowance *one, unsigned per_s, double now) {
    one->left += one->at == 0.0 ? per_s : (now - one->at) * per_s;
    if (one->left > per_s)
        one->left = per_s;
    one->at = now;
    if (one->left < 1.0)
        return false;
    one->left -= 1.0;
    return true;
}

static unsigned slot_of(const address *source) {
    uint32_t mixed = 0;
    const uint8_t *bytes = (const uint8_t *)source;
    for (socklen_t i = 0; i < address_bytes(source); i++)
        mixed = mixed * 16777619u ^ bytes[i];
    return 1 + (mixed ^ mixed >> 15) % STRANGER_SLOTS;
}

static void drop(table *table, port *port) {
    port->dropped++;
    table->dropped++;
}

/* --- SRTP --- */

void reset_way(srtp_way *way, void *context) {
    if (way->context != context)
        *way = (srtp_way){.context = context};
}

static void remember(table *table, srtp_way *way, const uint8_t *at) {
    uint32_t ssrc;
    memcpy(&ssrc, at, 4);
    if (way->heard && way->latest == ssrc)
        return;
    way->heard = true;
    way->latest = ssrc;
    for (unsigned i = 0; i < way->count; i++)
        if (way->ssrcs[i] == ssrc)
            return;
    if (way->count == MOST_SSRCS)
        table->forget(way->context, way->ssrcs[way->next]);
    else
        way->count++;
    way->ssrcs[way->next] = ssrc;
    way->next = (way->next + 1) % MOST_SSRCS;
}

static bool unsecure(table *table, port *port, uint8_t *data, int *length, enum kind kind) {
    if (port->locked)
        return false;
    if (!port->receive.context)
        return true;
    transform undo = kind == RTP ? table->unprotect : table->unprotect_rtcp;
    if (undo(port->receive.context, data, length) != SRTP_SECURED_OK)
        return false;
    remember(table, &port->receive, data + (kind == RTP ? 8 : 4));
    return true;
}

bool send_packet(table *table, port *out, const address *target, uint8_t *data, int length, enum kind kind,
                 double now) {
    if (kind == RTCP)
        rtcp_sent(out, data, length, now);
    if (kind != PLAIN) {
        if (out->locked) {
            table->dropped++;
            return false;
        }
        if (out->send.context) {
            transform secure = kind == RTP ? table->protect : table->protect_rtcp;
            if (secure(out->send.context, data, &length) != SRTP_SECURED_OK) {
                table->unsent++;
                return false;
            }
            remember(table, &out->send, data + (kind == RTP ? 8 : 4));
        }
    }
    if (sendto(out->fd, data, (size_t)length, MSG_DONTWAIT, &target->any, address_bytes(target)) < 0) {
        table->unsent++;
        return false;
    }
    return true;
}

/* --- DTLS that comes before its time --- */

void forget_held(port *port) {
    while (port->held) {
        event *next = port->held->next;
        free(port->held);
        port->held = next;
    }
    port->last_held = NULL;
    port->held_count = 0;
}

static void drop_held(table *table, port *port) {
    port->dropped += port->held_count;
    table->dropped += port->held_count;
    forget_held(port);
}

/* Keep the first flight of one source, while nobody is named whose it could be; who repeats it says nothing new. */
static bool hold(table *table, port *from, const uint8_t *data, int length, const address *source, double now) {
    if (from->held && now - from->held_at > HELD_S)
        drop_held(table, from);
    if (from->held_count == MOST_HELD || (from->held && !same_address(&from->held->source, source)))
        return false;
    event *one = event_of(from->number, source, data, length, false);
    if (!one)
        return false;
    if (from->last_held)
        from->last_held->next = one;
    else {
        from->held = one;
        from->held_at = now;
    }
    from->last_held = one;
    from->held_count++;
    return true;
}

void take_held(table *table, port *from, double now) {
    if (!from->held || !from->has_peer)
        return;
    if (!same_address(&from->held->source, &from->peer) || now - from->held_at > HELD_S) {
        drop_held(table, from);
        return;
    }
    for (event *one = from->held; one; one = one->next)
        if (!enqueue(table, HANDSHAKES, from->number, &one->source, one->data, one->length, false))
            table->unqueued++;
    forget_held(from);
}

/* Speech flows without keys: there will be no hand-shake. */
void drop_unasked(table *table, port *from) {
    if (from->route && from->route->rtp.port && !from->locked && !from->has_peer)
        drop_held(table, from);
}

/* --- routing --- */

static void forward(table *table, const hop *way, uint8_t *data, int length, enum kind kind, double now) {
    port *out = find_port(table, way->port);
    if (out && send_packet(table, out, &way->target, data, length, kind, now))
        table->forwarded++;
}

static void detour(table *table, port *from, const uint8_t *data, int length, const address *source) {
    if (!enqueue(table, CODECS, from->number, source, data, length, true))
        table->unqueued++;
}

static void take_rtp(table *table, port *from, uint8_t *data, int length, const address *source, double now) {
    const route *route = from->route;
    uint8_t number = data[1] & 0x7F;
    uint32_t clock_hz = 0;

    if (!has_whole_header(data, length)) {
        drop(table, from);
        return;
    }
    from->heard_at = now;
    if (route->mapped) {
        if (route->payloads[number] == 0xFF) {
            rtp_came(from, data, length, 0, now);
            drop(table, from);
            return;
        }
        clock_hz = route->clocks_hz[number];
        number = route->payloads[number];
    }
    bool repeated = rtp_came(from, data, length, clock_hz, now);
    if (!route->rtp.port)
        return;
    if (route->detour) {
        detour(table, from, data, length, source);
        return;
    }
    if (route->mapped)
        data[1] = number | (repeated ? 0 : data[1] & 0x80);
    forward(table, &route->rtp, data, length, RTP, now);
}

static void take_rtcp(table *table, port *from, uint8_t *data, int length, const address *source, double now) {
    rtcp_came(from, data, length, now);
    if (!from->route->rtcp.port)
        return;
    if (from->route->detour)
        detour(table, from, data, length, source);
    else
        forward(table, &from->route->rtcp, data, length, RTCP, now);
}

static bool believes(const route *route, const address *source) {
    for (unsigned i = 0; route && i < route->sources; i++)
        if (same_address(&route->source[i], source))
            return true;
    return false;
}

void take_packet(table *table, port *from, uint8_t *data, int length, const address *source, double now) {
    enum kind kind = length > MOST_BYTES ? OTHER : kind_of(data, length);
    bool proven = false;

    if (length > MOST_BYTES) {
        drop(table, from);
        return;
    }
    if (kind == DTLS) {
        if (!from->has_peer) {
            if (!hold(table, from, data, length, source, now))
                drop(table, from);
        } else if (!same_address(&from->peer, source))
            drop(table, from);
        else if (!grants(&from->hand_shake, table->strangers_per_s, now) ||
                 !enqueue(table, HANDSHAKES, from->number, source, data, length, false))
            table->unqueued++;
        return;
    }
    if (kind == RTP || kind == RTCP) {
        if (!unsecure(table, from, data, &length, kind)) {
            drop(table, from);
            return;
        }
        proven = from->receive.context != NULL;
    }
    bool believed = believes(from->route, source);
    if (believed && kind == RTP)
        take_rtp(table, from, data, length, source, now);
    else if (believed && kind == RTCP)
        take_rtcp(table, from, data, length, source, now);
    else {
        if (from->route && kind != STUN)
            drop(table, from);
        if (!grants(&from->allowances[believed ? 0 : slot_of(source)], table->strangers_per_s, now) ||
            !enqueue(table, ENGINE, from->number, source, data, length, proven))
            table->unqueued++;
    }
}
