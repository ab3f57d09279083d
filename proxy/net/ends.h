#pragma once

#include "base/proxy_protocol.h"

namespace regrow::net {

// Both ends of a connected socket, as the kernel knows them. False: it is not connected any more.
bool socketEnds(int fd, ClientEnds& ends);

}  // namespace regrow::net
