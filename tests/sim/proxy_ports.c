/* proxy_ports.c - the ports that the servers of proxy_sim.c listen on; one may lead nowhere. */
#include "sim/proxy_sim.h"

struct trip trips[TRIPS_MAX];
struct servers_mood mood;

void servers_open(struct io *io, bool calm)
{
    mood = (struct servers_mood){ .calm = calm };
    memset(trips, 0, sizeof trips);
    for (uint16_t port = PORT_FIRST; port < PORT_FIRST + SERVERS; port++)
        MUST(sim_listener(io, port) >= 0);
}

void servers_step(struct io *io)
{
    struct sim_peer *end;

    for (uint16_t port = PORT_FIRST; port < PORT_FIRST + SERVERS; port++) {
        if (!mood.calm && sim_random(io, 3000) == 0) {
            bool mute = sim_random(io, 2);

            sim_listener_mute(io, port, mute);
            mood.silent |= mute;
        }
        while ((end = sim_accept(io, port)) != NULL) {
            mood.touched = true;
            servers.welcome(io, end);
        }
    }
    servers.step(io);
}

void servers_close(struct io *io)
{
    servers_step(io);
    servers.close();
}
