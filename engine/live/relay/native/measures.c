/* Loss and jitter of RTP (RFC 3550 6.4.1, A.8), round trips from RTCP: measures.py in C. */

#include "table.h"

#define MOST_AHEAD 3000
#define MOST_BEHIND 100
#define SENDER_REPORT 200
#define RECEIVER_REPORT 201

bool rtp_came(port *port, const uint8_t *data, int length, uint32_t clock_hz, double now) {
    uint16_t sequence = read_16(data + 2);
    uint32_t stamp = read_32(data + 4), ssrc = read_32(data + 8);
    bool marker = data[1] >= 0x80, same = port->streaming && ssrc == port->ssrc, repeated = false;
    uint16_t ahead = (uint16_t)(sequence - port->highest);

    port->packets++;
    port->octets += (uint64_t)length;
    if (same && (uint16_t)-ahead <= MOST_BEHIND) {
        port->lost--;
        return false;
    }
    if (same && ahead < MOST_AHEAD) {
        repeated = ahead == 1 && marker && port->marked;
        port->lost += ahead - 1;
        if (clock_hz) {
            double apart_s = now - port->arrival - (int32_t)(stamp - port->stamp) / (double)clock_hz;
            port->jitter_s += ((apart_s < 0 ? -apart_s : apart_s) - port->jitter_s) / 16.0;
        }
    }
    port->streaming = true;
    port->ssrc = ssrc;
    port->highest = sequence;
    port->stamp = stamp;
    port->arrival = now;
    port->marked = marker;
    return repeated;
}

void rtcp_sent(port *port, const uint8_t *data, int length, double now) {
    if (length < 28 || data[1] != SENDER_REPORT)
        return;
    unsigned at = port->reports++ % REPORTS_KEPT;
    port->report[at].name = read_32(data + 10);
    port->report[at].at = now;
}

static void answered(port *port, uint32_t name, uint32_t delay, double now) {
    unsigned kept = port->reports < REPORTS_KEPT ? port->reports : REPORTS_KEPT;
    for (unsigned i = 0; name && i < kept; i++) {
        double took_s = now - port->report[i].at - delay / 65536.0;
        if (port->report[i].name == name && took_s >= 0.0)
            port->round_trip_ms = took_s * 1000.0;
    }
}

void rtcp_came(port *port, const uint8_t *data, int length, double now) {
    for (int at = 0; at + 8 <= length;) {
        int end = at + 4 + 4 * read_16(data + at + 2), kind = data[at + 1];
        if (kind == SENDER_REPORT || kind == RECEIVER_REPORT) {
            int block = at + (kind == SENDER_REPORT ? 28 : 8), most = end < length ? end : length;
            for (int left = data[at] & 0x1F; left && block + 24 <= most; left--, block += 24)
                answered(port, read_32(data + block + 16), read_32(data + block + 20), now);
        }
        at = end;
    }
}
