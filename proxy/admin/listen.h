#pragma once

#include "base/address.h"
#include "base/result.h"
#include "base/unique_fd.h"

namespace regrow::admin {

// A listening, non-blocking socket for the admin endpoint. A unix socket is created with mode 0600;
// one left behind by a process that is gone is replaced, one that somebody answers on is not. The
// error of a taken address names it and the remedy.
Result<UniqueFd> listenAdmin(const Address& address);

// Where a socket really listens (the kernel chose the port of ":0").
Address localAddress(int fd);

}  // namespace regrow::admin
