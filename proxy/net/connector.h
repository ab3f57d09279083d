#pragma once

#include "base/address.h"
#include "base/unique_fd.h"

namespace regrow::net {

// A connect begun without waiting. When neither failed nor connected, the socket becomes writable
// and Transport::connectError() says how it went.
struct Connecting {
    UniqueFd fd;
    bool connected = false;
    int error = 0;  // errno of an immediate failure (refused, unreachable, out of descriptors); fd
                    // is empty then
};
Connecting startConnect(const Address& address);

}  // namespace regrow::net
